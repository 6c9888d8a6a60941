//! The two interfaces that `tunctl pump` joins: opened, or made.

use tunctl::bulk::queue_length;
use tunctl::{
    Bulk, Cause, CreateFlags, CreateOptions, Error, Interface, InterfaceAddress, InterfaceConfig,
    InterfaceInfo, Layer, Mtu, NamePattern, Native, NativeDevice, Operation, State, TunBackend, TunDevice,
};

use super::super::advice::{self, patiently};
use super::super::arguments::with;
use super::super::{Failure, Outcome, helped};

/// One of the interfaces, as it was asked for.
pub(super) struct End<'a> {
    pub(super) name: NamePattern,
    pub(super) backend: &'a Native,
    /// Whether that is in another network namespace than the caller's, where the helper is.
    pub(super) elsewhere: bool,
    pub(super) addresses: Vec<InterfaceAddress>,
}

/// What both have in common.
pub(super) struct Common {
    /// `None` if it is that of an interface that exists.
    pub(super) layer: Option<Layer>,
    pub(super) mtu: Option<Mtu>,
    pub(super) queues: usize,
    /// Whether packets may stand for several, where the system has that.
    pub(super) offload: bool,
}

/// An interface that is open, up, and ready for many packets a call.
pub(super) struct Opened {
    /// As messages have it.
    pub(super) name: String,
    pub(super) queues: Vec<Bulk<NativeDevice>>,
}

/// Gives interfaces that were there before their offloads, packet headers and state back, once their devices
/// are closed. Their headers are those of the last program that opened them (`tun_set_iff`, Linux 6.18), so
/// they are opened once more.
#[derive(Default)]
pub(super) struct Restoring<'a>(Vec<Before<'a>>);

/// What an interface was before.
struct Before<'a> {
    backend: &'a Native,
    options: CreateOptions,
    state: State,
}

impl Drop for Restoring<'_> {
    fn drop(&mut self) {
        for Before { backend, options, state } in self.0.drain(..) {
            // Another program may have opened it by now, or deleted it: then it is no longer ours.
            let _ = backend.open(&options).and_then(|device| device.interface().set_state(state));
        }
    }
}

/// Opens both, or makes those that do not exist.
pub(super) fn open<'a>(
    a: &End<'a>,
    b: &End<'a>,
    common: &Common,
    restoring: &mut Restoring<'a>,
) -> Outcome<[Opened; 2]> {
    let existing = [a, b].map(End::existing);
    let layers = existing.each_ref().map(|info| info.as_ref().map(|info| info.layer));
    match layers {
        [Some(one), Some(other)] if one != other => {
            let (a, b) = (a.name, b.name);
            return Err(Failure::Said(format!(
                "join {a} and {b}: {a} is a {one}, {b} a {other}, and their packets differ by the Ethernet \
                 header. Choose two of one kind."
            )));
        }
        _ => {}
    }
    let layer = common.layer.or(layers[0]).or(layers[1]).unwrap_or(Layer::Tap);
    let [found_a, found_b] = existing;
    let a = a.open(found_a.as_ref(), layer, common, restoring)?;
    let b = b.open(found_b.as_ref(), layer, common, restoring)?;
    Ok([a, b])
}

impl<'a> End<'a> {
    /// The interface, if there is one of that name.
    fn existing(&self) -> Option<InterfaceInfo> {
        let name = self.name.exact()?;
        self.backend.interface(&name).ok()?.info().ok()
    }

    fn open(
        &self,
        existing: Option<&InterfaceInfo>,
        layer: Layer,
        common: &Common,
        restoring: &mut Restoring<'a>,
    ) -> Outcome<Opened> {
        let has_queues = existing.map(|info| info.flags.contains(CreateFlags::MULTI_QUEUE));
        if has_queues == Some(false) && common.queues > 1 {
            let name = self.name;
            return Err(Failure::Said(format!(
                "open {name}: it exists, and has one queue. Leave out --queues, or create it with \
                 --multi-queue."
            )));
        }
        let kind = self.kind(layer, common).multi_queue(has_queues.unwrap_or(common.queues > 1));
        let options = kind.clone().name(self.name).config(self.config(common));
        let first = if let Some(info) = existing {
            let (options_before, state) = (info.options()?, info.state);
            let device =
                patiently(|| self.backend.open(&options)).map_err(|error| unopened(error, common))?;
            restoring.0.push(Before { backend: self.backend, options: options_before, state });
            device
        } else {
            self.create(&options).map_err(|error| self.refused(&error))?
        };
        let name = first.name()?;
        let further = kind.name(name);
        let mut devices = vec![first];
        for _ in 1..common.queues {
            devices.push(self.backend.open(&further)?);
        }
        let queues = Bulk::of_queues(devices).map_err(Error::from)?;
        Ok(Opened { name: name.to_string(), queues })
    }

    /// Makes it, with a queue that is not overrun: the kernel stops its senders, or it is a long one.
    fn create(&self, options: &CreateOptions) -> tunctl::Result<NativeDevice> {
        match helped::create(self.backend, &options.clone().backpressure(true), self.elsewhere) {
            Err(error) if error.cause() == Cause::Unsupported => {}
            created => return created,
        }
        let device = helped::create(self.backend, options, self.elsewhere)?;
        let interface = device.interface();
        let has_offload = options.get_flags().contains(CreateFlags::VNET_HDR);
        match interface.set_queue_length(queue_length(interface.mtu()?, has_offload)) {
            // What the helper made has the queue that its policy allows.
            Err(error) if matches!(error.cause(), Cause::MissingCapability | Cause::Unsupported) => {}
            outcome => outcome?,
        }
        Ok(device)
    }

    /// The layer and the headers. Where the system has no offload, there is no header for it.
    fn kind(&self, layer: Layer, common: &Common) -> CreateOptions {
        let has_offload = self.backend.capabilities().supports(Operation::SetOffloads);
        let options = match layer {
            Layer::Tun => CreateOptions::tun(),
            Layer::Tap => CreateOptions::tap(),
        };
        options.vnet_header(common.offload && has_offload)
    }

    fn config(&self, common: &Common) -> InterfaceConfig {
        let config = self.addresses.iter().copied().fold(InterfaceConfig::new(), InterfaceConfig::address);
        with(config, common.mtu, InterfaceConfig::mtu).up()
    }

    /// The failure to make it.
    fn refused(&self, error: &Error) -> Failure {
        Failure::Said(helped::message(error, self.elsewhere))
    }
}

/// The failure to open one that exists.
fn unopened(error: Error, common: &Common) -> Failure {
    if error.cause() == Cause::HeaderMismatch && common.offload {
        let remedy = "Use --offload off, or end the programs that hold them.";
        return Failure::Said(advice::with_sentence(&advice::message(&error), remedy));
    }
    error.into()
}

/// Turns offload off and closes the devices.
pub(super) fn close(pump: tunctl::pump::Pump<NativeDevice, NativeDevice>) -> Outcome {
    match pump.into_devices() {
        Err(error) if error.cause() != Cause::Gone => Err(error.into()),
        _ => Ok(()),
    }
}
