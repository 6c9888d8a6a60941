//! Queues that are too short for what the kernel puts into them at once.

use tunctl::linux::SurveyedInterface;
use tunctl::{CreateFlags, InterfaceInfo, Native};

use super::finding::{Check, Finding};

/// What TCP passes to an interface in one piece (`GSO_LEGACY_MAX_SIZE`, Linux 6.18). For one without
/// offloads, `validate_xmit_skb` divides it, and all packets come to the queue before the program can take
/// one.
const BURST: u32 = 65_536;
/// The headers of IPv4 and TCP in front of each part.
const HEADERS: u32 = 40;

/// Findings about the interfaces that there are; none, if there are none.
pub(super) fn findings(backend: &Native) -> Vec<Finding> {
    // If they cannot be listed, the finding about rights says so.
    let surveyed = backend.survey().unwrap_or_default();
    let short: Vec<_> = surveyed.iter().filter_map(finding).collect();
    match surveyed.len() {
        0 => Vec::new(),
        count if short.is_empty() => {
            let whose =
                if count == 1 { "the one interface".to_owned() } else { format!("all {count} interfaces") };
            vec![Finding::ok(Check::Queue, format!("{whose} can queue a burst of TCP"))]
        }
        _ => short,
    }
}

fn finding(surveyed: &SurveyedInterface) -> Option<Finding> {
    let InterfaceInfo { name, mtu, .. } = &surveyed.snapshot.info;
    let (length, burst) = too_short(&surveyed.snapshot.info)?;
    let dropped = match surveyed.snapshot.statistics.to_program.dropped {
        0 => String::new(),
        dropped => format!(" ({dropped} so far)"),
    };
    Some(Finding::note(
        Check::Queue,
        format!(
            "{name} queues {length} packets, and TCP may send {burst} at once, at an MTU of {mtu}: the rest is \
             dropped{dropped}"
        ),
        format!("tunctl set {name} --queue-length {}", burst.max(500)),
    ))
}

/// The length of the queue, and the packets of a burst, if those are more.
fn too_short(info: &InterfaceInfo) -> Option<(u32, u32)> {
    // With offloads, a program may take a burst as one packet.
    if info.flags.contains(CreateFlags::VNET_HDR) {
        return None;
    }
    let length = info.queue_length?;
    let burst = BURST.div_ceil(info.mtu.get().saturating_sub(HEADERS).max(1));
    (length < burst).then_some((length, burst))
}

#[cfg(test)]
mod tests {
    use tunctl::{InterfaceIndex, Layer, Mtu};

    use super::*;

    fn info(length: u32, mtu: u32) -> InterfaceInfo {
        let (name, index) = ("vpn0".parse().unwrap(), InterfaceIndex::new(7).unwrap());
        let mut info = InterfaceInfo::new(name, index, Layer::Tun, Mtu::new(mtu).unwrap());
        info.queue_length = Some(length);
        info
    }

    #[test]
    fn a_queue_takes_a_burst_or_is_too_short() {
        // The kernel's own lengths and MTU.
        for length in [500, 1000, 45] {
            assert_eq!(too_short(&info(length, 1500)), None);
        }
        assert_eq!(too_short(&info(44, 1500)), Some((44, 45)));
        assert_eq!(too_short(&info(500, 68)), Some((500, 2341)));
        assert_eq!(too_short(&info(0, 65535)), Some((0, 2)));
        let mut offloading = info(0, 1500);
        offloading.flags |= CreateFlags::VNET_HDR;
        assert_eq!(too_short(&offloading), None);
    }
}
