//! Random packets, with what the expressions look for, and real ones.

use std::fs;
use std::net::Ipv6Addr;
use std::path::Path;

use tunctl_core::Layer;

use super::expressions::{ETHER_TYPES, HOSTS_V4, HOSTS_V6, MACS, PORTS, PROTOCOLS, TAGS, VLANS};
use crate::differential::random::Random;

/// The packets that kernels sent, and those that fuzzing found.
pub(crate) fn real(layer: Layer) -> Result<Vec<Vec<u8>>, String> {
    let folder = match layer {
        Layer::Tun => "packet_tun",
        Layer::Tap => "packet_tap",
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(folder);
    let failed = |error| format!("read {}: {error}", folder.display());
    let entries = fs::read_dir(&folder).map_err(failed)?;
    entries.map(|entry| fs::read(entry.map_err(failed)?.path()).map_err(failed)).collect()
}

/// Draws packets of the layer: made ones, and some of the real ones with changes.
pub(crate) fn draw(random: &mut Random, layer: Layer, real: &[Vec<u8>]) -> Vec<u8> {
    let is_changed = !real.is_empty() && random.one_of(1, 4);
    let mut packet = if is_changed { random.pick(real).clone() } else { made(random, layer) };
    if packet.is_empty() {
        return packet;
    }
    if is_changed || random.one_of(1, 8) {
        for _ in 0..=random.below(3) {
            let at = random.below(packet.len());
            packet[at] = random.bytes(1)[0];
        }
    }
    if random.one_of(1, 4) {
        packet.truncate(random.below(packet.len() + 1));
    }
    packet
}

fn made(random: &mut Random, layer: Layer) -> Vec<u8> {
    let kind = random.below(10);
    let (ether_type, packet) = match kind {
        0..=4 => (0x0800, ipv4(random)),
        5..=8 => (0x86dd, ipv6(random)),
        _ if layer == Layer::Tun => (0, random.bytes(60)),
        _ => (*random.pick(&[0x0806, 0x8035]), arp(random)),
    };
    if layer == Layer::Tun {
        return packet;
    }
    let mut frame = [*random.pick(MACS), *random.pick(MACS)].concat();
    for _ in 0..*random.pick(&[0, 0, 0, 0, 0, 1, 1, 2, 3]) {
        frame.extend(random.pick(TAGS).to_be_bytes());
        let priority = if random.one_of(1, 2) { 0xe000 } else { 0 };
        frame.extend((priority | random.pick(VLANS)).to_be_bytes());
    }
    let ether_type = if random.one_of(1, 10) { *random.pick(ETHER_TYPES) } else { ether_type };
    frame.extend(ether_type.to_be_bytes());
    frame.extend(packet);
    frame
}

/// With options of any length, and fragments.
fn ipv4(random: &mut Random) -> Vec<u8> {
    let words = *random.pick(&[5, 5, 5, 5, 6, 15, 0, 4]);
    let fragment: u16 = *random.pick(&[0, 0, 0x4000, 0x2000, 0x2001, 185, 0x1fff]);
    let protocol = *random.pick(PROTOCOLS);
    let mut packet = vec![0x40 | words, 0, 0, 100, 0, 1];
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend(random.pick(HOSTS_V4));
    packet.extend(random.pick(HOSTS_V4));
    packet.extend(random.bytes(usize::from(words).saturating_sub(5) * 4));
    transport(random, &mut packet);
    packet
}

/// With a fragment header, or one of options, in front of some.
fn ipv6(random: &mut Random) -> Vec<u8> {
    let (extension, protocol) =
        (*random.pick(&[None, None, None, Some(44), Some(0), Some(60)]), *random.pick(PROTOCOLS));
    let mut packet = vec![0x60, 0, 0, 0, 0, 60, extension.unwrap_or(protocol), 64];
    for _ in 0..2 {
        let address: Ipv6Addr = random.pick(HOSTS_V6).parse().expect("it is written here");
        packet.extend(address.octets());
    }
    if extension.is_some() {
        packet.extend([protocol, 0, 0, *random.pick(&[0, 1, 8]), 0, 0, 0, 7]);
    }
    transport(random, &mut packet);
    packet
}

fn arp(random: &mut Random) -> Vec<u8> {
    let mut packet = vec![0, 1, 8, 0, 6, 4, 0, 1];
    for _ in 0..2 {
        packet.extend(random.pick(MACS));
        packet.extend(random.pick(HOSTS_V4));
    }
    packet.extend(vec![0; *random.pick(&[0, 18])]);
    packet
}

/// Ports, and bytes behind them.
fn transport(random: &mut Random, packet: &mut Vec<u8>) {
    for _ in 0..2 {
        let port = if random.one_of(1, 5) { 6500 } else { *random.pick(PORTS) };
        packet.extend(port.to_be_bytes());
    }
    let rest = random.below(100);
    packet.extend(random.bytes(rest));
}
