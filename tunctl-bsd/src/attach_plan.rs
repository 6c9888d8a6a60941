//! What to create or to open: the options, as far as these systems can have them.

use std::io;

use tunctl_core::{
    Cause, CreateFlags, CreateOptions, Error, InterfaceName, NamePattern, Operation, Reason, Result,
};
use tunctl_packet::header::System;
use tunctl_sys::bsd::Name;

use crate::errno;
use crate::remedy;
use crate::system::{CreateMethod, Kind, Rules};

/// A name that an interface may be given. These kernels take any, also one that would lead out of `/dev`.
pub(crate) fn new_name(name: &InterfaceName) -> Option<Name> {
    let text = std::str::from_utf8(name.as_bytes()).ok()?;
    InterfaceName::new(text).ok().and_then(|name| Name::new(name.as_bytes()))
}

/// What was asked, and how it is done.
pub(crate) struct AttachPlan<'a> {
    pub(crate) operation: Operation,
    pub(crate) system: System,
    pub(crate) kind: &'static Kind,
    pub(crate) name: NameRequest,
    /// Whether frames are to have a virtio-net header in front.
    pub(crate) vnet_header: bool,
    pattern: Option<&'a NamePattern>,
}

/// What a new interface is to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NameRequest {
    /// As the system likes.
    Any,
    /// By its kind and this number.
    Unit(u32),
    /// Something of its own.
    Exactly(Name),
    /// Something of its own, with the first number that is free between.
    Numbered(Vec<u8>, Vec<u8>),
}

impl NameRequest {
    /// The name to try after so many others; `None`: there are no more.
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
    /// For something new.
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

    /// For something that is there, whose name is not to be judged.
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
        let flags = options.get_flags();
        let foreign = CreateFlags::MULTI_QUEUE | CreateFlags::ONE_QUEUE;
        if flags.intersects(foreign) || !flags.contains(CreateFlags::NO_PI) {
            let reason = Reason::new(Cause::Unsupported);
            let lacking = "this system has no packet information, and one queue an interface";
            return Err(plan.error(reason.with_detail(lacking)));
        }
        if plan.vnet_header && plan.kind.set_vnet_header.is_none() {
            let reason = Reason::new(Cause::Unsupported);
            return Err(
                plan.error(reason.with_detail("interfaces of this kind have no virtio-net header here"))
            );
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

    /// The error of a system call that failed.
    pub(crate) fn failed(&self, reason: Reason, error: &io::Error) -> Error {
        self.error(remedy::with_errno(reason, error))
    }

    /// A node, or a socket, could not be opened, or not asked.
    pub(crate) fn not_opened(&self, error: &io::Error) -> Error {
        let errno = errno::of(error);
        let has_nodes = matches!(self.kind.create_method, CreateMethod::OpenNode { .. });
        let reason = match (errno, self.system) {
            (errno::ENOENT, System::MacOs) if has_nodes => remedy::no_third_party_node(),
            _ => remedy::node(errno, self.system, self.kind.layer),
        };
        self.failed(reason, error)
    }

    /// An interface could not be made by a request.
    pub(crate) fn not_made(&self, error: &io::Error) -> Error {
        self.failed(remedy::create(errno::of(error), self.system, self.kind.layer), error)
    }

    pub(crate) fn refuse_name(&self) -> Error {
        let prefix = self.kind.prefix;
        let reason = Reason::new(Cause::InvalidName)
            .with_detail(format!("interfaces of this kind are called {prefix}0, {prefix}1, … here"))
            .with_remedy(format!("Ask for one of these names, for {prefix}%d, or for none."));
        self.error(reason)
    }
}
