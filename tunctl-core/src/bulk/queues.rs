//! From devices to bulk I/O and back: all queues of an interface together.

use tunctl_packet::header::{HeaderKind, VnetFormat};

use super::{Bulk, GivenBack};
use crate::{Cause, Error, Interface, Offloads, Operation, Reason, Result, TunDevice};

/// What to ask a system for, best first: older ones know less.
const CHOICES: [Offloads; 6] = [
    Offloads::TSO_ECN.union(Offloads::USO).union(Offloads::UDP_TUNNEL_CHECKSUM),
    Offloads::TSO_ECN.union(Offloads::USO).union(Offloads::UDP_TUNNEL),
    Offloads::TSO_ECN.union(Offloads::USO),
    Offloads::TSO_ECN,
    Offloads::TSO,
    Offloads::CHECKSUM,
];

pub(super) fn convert<D: TunDevice>(devices: Vec<D>) -> Result<Vec<Bulk<D>>, GivenBack<Vec<D>>> {
    match turn_on(&devices) {
        Ok((before, offloads)) => {
            let siblings = devices.len();
            let queue = |device| Bulk { device, offloads, before, siblings };
            Ok(devices.into_iter().map(queue).collect())
        }
        Err(error) => Err(GivenBack::new(error, devices)),
    }
}

pub(super) fn back<D: TunDevice>(queues: Vec<Bulk<D>>) -> Result<Vec<D>, GivenBack<Vec<Bulk<D>>>> {
    match turn_off(&queues) {
        Ok(()) => Ok(queues.into_iter().map(|queue| queue.device).collect()),
        Err(error) => Err(GivenBack::new(error, queues)),
    }
}

/// Returns the offloads that were on before, and those that are on now.
fn turn_on<D: TunDevice>(devices: &[D]) -> Result<(Offloads, Offloads)> {
    let Some(first) = devices.first() else { return Ok(Default::default()) };
    for device in devices {
        same_interface(first, device)?;
    }
    let Some(format) = vnet_format(first) else { return Ok(Default::default()) };
    let queues = first.interface().info()?.queues;
    if queues.is_some_and(|queues| usize::try_from(queues).is_ok_and(|queues| queues > devices.len())) {
        return Err(busy(first, "its other queues would receive packets that stand for several"));
    }
    let before = first.offloads()?;
    for choice in CHOICES.into_iter().filter(|choice| choice.fit(format.length)) {
        match first.set_offloads(choice) {
            Ok(()) => return Ok((before, choice)),
            Err(error) if error.cause() == Cause::InvalidValue => {}
            Err(error) => return Err(error),
        }
    }
    Ok((before, before))
}

fn turn_off<D: TunDevice>(queues: &[Bulk<D>]) -> Result<()> {
    let Some(first) = queues.first() else { return Ok(()) };
    for queue in queues {
        same_interface(&first.device, &queue.device)?;
    }
    if queues.len() != first.siblings {
        return Err(busy(&first.device, "its other queues still receive packets that stand for several"));
    }
    if vnet_format(&first.device).is_some() { first.device.set_offloads(first.before) } else { Ok(()) }
}

fn same_interface<D: TunDevice>(one: &D, other: &D) -> Result<()> {
    if one.interface().index() == other.interface().index() {
        return Ok(());
    }
    Err(busy(other, "it is another interface than that of the first queue"))
}

fn vnet_format<D: TunDevice>(device: &D) -> Option<VnetFormat> {
    match device.header_kind() {
        HeaderKind::Vnet(format) | HeaderKind::PacketInfoAndVnet(format) => Some(format),
        _ => None,
    }
}

fn busy<D: TunDevice>(device: &D, detail: &'static str) -> Error {
    let reason = Reason::new(Cause::Busy)
        .with_detail(detail)
        .with_remedy("Convert all queues of one interface together: Bulk::of_queues, Bulk::into_devices.");
    let error = reason.of(Operation::SetOffloads);
    match device.name() {
        Ok(name) => error.with_name(name),
        Err(_) => error,
    }
}
