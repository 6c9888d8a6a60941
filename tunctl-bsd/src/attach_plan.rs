//! From options to a plan of how to create or open, as far as these systems support the options.

use std::io;

use tunctl_core::{
    Cause, CreateFlags, CreateOptions, Error, InterfaceName, NamePattern, Operation, Reason, Result,
};
use tunctl_packet::header::System;
use tunctl_packet::header::VnetFormat;
use tunctl_sys::bsd::Name;

use crate::errno;
use crate::remedy;
use crate::system::{CreateMethod, Kind, Rules};

/// Returns a name that an interface may be renamed to.
///
/// The kernels accept any name, even one that leads out of `/dev`, so this checks it as Linux would.
pub(crate) fn new_name(name: &InterfaceName) -> Option<Name> {
    let text = std::str::from_utf8(name.as_bytes()).ok()?;
    InterfaceName::new(text).ok().and_then(|name| Name::new(name.as_bytes()))
}

/// What the caller requested, and how this system does it.
pub(crate) struct AttachPlan<'a> {
    pub(crate) operation: Operation,
    pub(crate) system: System,
    pub(crate) kind: &'static Kind,
    pub(crate) name: NameRequest,
    /// Whether each frame carries a virtio-net header.
    pub(crate) vnet_header: bool,
    pattern: Option<&'a NamePattern>,
}

/// The name requested for a new interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NameRequest {
    /// Any name: the system chooses.
    Any,
    /// The kind's prefix with this unit number.
    Unit(u32),
    /// This name, which needs a rename.
    Exactly(Name),
    /// The first free number between this prefix and this suffix, which needs a rename.
    Numbered(Vec<u8>, Vec<u8>),
}

impl NameRequest {
    /// Returns the name to try after `number` others, or `None` when there are no more.
    pub(crate) fn candidate(&self, number: u32) -> Option<Name> {
        match self {
            Self::Exactly(name) => (number == 0).then_some(*name),
            Self::Numbered(before, after) => {
                Name::new(&[before, number.to_string().as_bytes(), after].concat())
            }
            Self::Any | Self::Unit(_) => None,
        }
    }

    pub(crate) const fn has_number(&self) -> bool {
        matches!(self, Self::Numbered(..))
    }
}

impl<'a> AttachPlan<'a> {
    /// A plan to create an interface.
    pub(crate) fn new(
        operation: Operation,
        rules: &'static Rules,
        options: &'a CreateOptions,
    ) -> Result<Self> {
        let mut plan = Self::of_existing(operation, rules, options)?;
        let Some(pattern) = plan.pattern else { return Ok(plan) };
        let kind = plan.kind;
        plan.name = match pattern.exact() {
            Some(name) => match kind.unit(name.as_bytes()) {
                Some(unit) => NameRequest::Unit(unit),
                None => NameRequest::Exactly(new_name(&name).ok_or_else(|| plan.refuse_name())?),
            },
            None => {
                let bytes = pattern.as_bytes();
                let at = bytes.windows(2).position(|pair| pair == b"%d").unwrap_or(bytes.len());
                let (before, after) =
                    (bytes[..at].to_vec(), bytes.get(at + 2..).unwrap_or_default().to_vec());
                if before == kind.prefix.as_bytes() && after.is_empty() {
                    NameRequest::Any
                } else {
                    NameRequest::Numbered(before, after)
                }
            }
        };
        Ok(plan)
    }

    /// A plan to open an interface that exists. The name is not checked: the interface already has it.
    pub(crate) fn of_existing(
        operation: Operation,
        rules: &'static Rules,
        options: &'a CreateOptions,
    ) -> Result<Self> {
        let pattern = options.get_name();
        let plan = Self {
            operation,
            system: rules.system,
            kind: rules.kind_for(options.get_layer(), pattern),
            name: NameRequest::Any,
            vnet_header: options.get_flags().contains(CreateFlags::VNET_HDR),
            pattern,
        };
        if options.get_index().is_some() {
            let reason = Reason::new(Cause::Unsupported);
            return Err(
                plan.error(reason.with_detail("this system chooses the indices of interfaces itself"))
            );
        }
        let flags = options.get_flags();
        let foreign = CreateFlags::MULTI_QUEUE | CreateFlags::ONE_QUEUE | CreateFlags::OPTIONAL;
        if flags.intersects(foreign) || !flags.contains(CreateFlags::NO_PI) {
            let reason = Reason::new(Cause::Unsupported);
            return Err(plan.error(reason.with_detail(
                "this system has no such flag, no packet information, and one queue per interface",
            )));
        }
        if plan.vnet_header && plan.kind.set_vnet_header.is_none() {
            let reason = Reason::new(Cause::Unsupported);
            return Err(plan.error(
                reason.with_detail("interfaces of this kind have no virtio-net header on this system"),
            ));
        }
        let is_plain = options.get_vnet_format().unwrap_or_default() == VnetFormat::default();
        if !is_plain || options.get_offloads().is_some_and(|offloads| !offloads.is_empty()) {
            let reason = Reason::new(Cause::Unsupported);
            let detail = "a virtio-net header has ten bytes on this system, and there are no offloads";
            return Err(plan.error(reason.with_detail(detail)));
        }
        Ok(plan)
    }

    pub(crate) fn error(&self, reason: impl Into<Reason>) -> Error {
        let error = Error::new(self.operation, reason);
        match self.pattern {
            Some(pattern) => error.with_name(*pattern),
            None => error,
        }
    }

    /// Reports a failed system call.
    pub(crate) fn failed(&self, reason: Reason, error: &io::Error) -> Error {
        self.error(remedy::with_errno(reason, error))
    }

    /// Reports that a node or socket could not be opened or queried.
    pub(crate) fn not_opened(&self, error: &io::Error) -> Error {
        let errno = errno::of(error);
        let has_nodes = matches!(self.kind.create_method, CreateMethod::OpenNode { .. });
        let reason = match (errno, self.system) {
            (errno::ENOENT, System::MacOs) if has_nodes => remedy::no_third_party_node(),
            _ => remedy::node(errno, self.system, self.kind.layer),
        };
        self.failed(reason, error)
    }

    /// Reports that a request to create an interface failed.
    pub(crate) fn not_created(&self, error: &io::Error) -> Error {
        self.failed(remedy::create(errno::of(error), self.system, self.kind.layer), error)
    }

    pub(crate) fn refuse_name(&self) -> Error {
        let prefix = self.kind.prefix;
        let reason = Reason::new(Cause::InvalidName)
            .with_detail(format!("this system names such interfaces {prefix}0, {prefix}1, …"))
            .with_remedy(format!("Request one of these names, or {prefix}%d, or no name."));
        self.error(reason)
    }
}
