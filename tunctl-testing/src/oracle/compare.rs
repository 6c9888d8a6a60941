//! Both cut each packet, and the pieces are compared.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tunctl_linux::netns;
use tunctl_packet::Layer;
use tunctl_packet::header::{GsoType, VnetHeader};
use tunctl_packet::offload::{Apart, Coalescer, Cut, Parts, Segments, SplitError, sum};

use crate::differential::random::Random;
use crate::harness::silence;
use crate::oracle::bridge::ETHERNET;
use crate::oracle::draw::{FAULTS, Large, PROPERTIES, draw};
use crate::oracle::kernel::{Kernel, LONGEST, is_tunneled};
use crate::oracle::settings::Settings;
use crate::oracle::tunnel;

/// One in this many packets must have each property.
const SHARE: u64 = 100;
/// A run that is too short to say something about shares.
const FEW: u64 = 2000;
const REPORT: Duration = Duration::from_secs(30);

/// What a run has seen.
#[derive(Default)]
struct Seen {
    cut: u64,
    refused: u64,
    segments: u64,
    eight_or_more: u64,
    forty_or_more: u64,
    /// Segments that were merged again, and into how many packets.
    merged: u64,
    merged_into: u64,
    /// Packets in tunnels that the kernel also handed out to be cut.
    handed_out: u64,
    properties: BTreeMap<&'static str, u64>,
    faults: BTreeMap<&'static str, u64>,
}

pub(crate) fn run(settings: &Settings) -> Result<(), String> {
    netns::enter_new().map_err(|error| error.to_string())?;
    silence().map_err(|error| format!("/proc/sys/net: {error}"))?;
    let mut kernel = Kernel::new()?;
    let cases = settings.only.map_or(0..settings.cases, |case| case..case + 1);
    let mut coalescers = [Layer::Tun, Layer::Tap].map(|layer| Coalescer::new(layer, settings.seed));
    let (mut seen, started, mut reported) = (Seen::default(), Instant::now(), Instant::now());
    for case in cases.clone() {
        let large = draw(&mut Random::of_case(settings.seed, case), kernel.has_tunnels());
        let theirs = kernel.cut(large.layer, &large.header, &large.packet)?;
        let ours = cut(large.layer, &large.header, &large.packet);
        if settings.only.is_some() {
            println!("{large:?}\nours: {ours:?}\nthe kernel's: {theirs:?}");
        }
        judge(&large, &ours, &theirs)
            .and_then(|()| seen.judge_handed_out(&kernel, &large, &ours, &theirs))
            .and_then(|()| {
                // Every other packet is cut as a program does that passes it on.
                let ours = ours.as_ref().ok().filter(|_| case % 2 == 1 && !theirs.is_empty());
                let (batch, segments) = match ours {
                    Some(ours) => (apart(&large), ours),
                    None => (whole(&theirs), &theirs),
                };
                seen.merge_again(&mut kernel, &mut coalescers, &large, batch, segments)
            })
            .map_err(|why| describe(settings, case, &large, &why))?;
        seen.note(&large, &theirs);
        if reported.elapsed() > REPORT {
            reported = Instant::now();
            println!("{} of {} packets", case + 1, cases.end);
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    if !kernel.has_tunnels() {
        println!("no tunnels: this kernel has no bridges, or is older than Linux 6.17");
    }
    println!(
        "seed {}: {} packets cut into {} segments, {} refused; {:.0} packets a second",
        settings.seed,
        seen.cut,
        seen.segments,
        seen.refused,
        (seen.cut + seen.refused) as f64 / seconds
    );
    if settings.only.is_none() && settings.cases >= FEW { seen.check(kernel.has_tunnels()) } else { Ok(()) }
}

fn cut(layer: Layer, header: &VnetHeader, packet: &[u8]) -> Result<Vec<Vec<u8>>, SplitError> {
    let mut packet = packet.to_vec();
    let mut segments = Segments::new(header, layer, &mut packet, sum)?;
    let mut found = Vec::new();
    while let Some(segment) = segments.next() {
        found.push(segment.to_vec());
    }
    Ok(found)
}

/// The packets one behind the other, and where they are.
fn whole(packets: &[Vec<u8>]) -> (Vec<u8>, Vec<Parts>) {
    let mut end = 0;
    let place = |packet: &Vec<u8>| {
        end += packet.len();
        (end - packet.len()..end).into()
    };
    (packets.concat(), packets.iter().map(place).collect())
}

/// A packet with the headers of its segments behind it, and where the segments are.
fn apart(large: &Large) -> (Vec<u8>, Vec<Parts>) {
    let (mut arena, length) = (large.packet.clone(), large.packet.len());
    let (mut segments, mut room) = (Vec::new(), [0; 4096]);
    if let Ok(mut cut) = Cut::new(&large.header, large.layer, &mut arena, sum) {
        while let Ok(Some(Apart { headers, payload, payload_sum })) =
            cut.next_apart(&arena[..length], &mut room)
        {
            let first = arena.len()..arena.len() + headers;
            arena.extend_from_slice(&room[..headers]);
            segments.push(match headers {
                0 => payload.into(),
                _ => Parts { first, rest: payload, rest_sum: payload_sum },
            });
        }
    }
    (arena, segments)
}

fn judge(large: &Large, ours: &Result<Vec<Vec<u8>>, SplitError>, theirs: &[Vec<u8>]) -> Result<(), String> {
    match ours {
        Ok(_) if tunnel::lacks_a_tag(large) => Ok(()),
        // A fragment has no transport that could be cut, and what is in a frame of IP is of that version. The
        // kernel does not look (`inet_gso_segment`, `ipv6_gso_segment`, Linux 6.18).
        Err(SplitError::Fragment) => Ok(()),
        Err(_) if large.has_other_version() => Ok(()),
        Err(error) if tunnel::is_refused_by_us_alone(large, error) => Ok(()),
        // Fragments of a datagram, which no device is given since Linux 4.14.
        Err(SplitError::Type { gso_type: GsoType::Udp }) => Ok(()),
        Err(_) if theirs.is_empty() => Ok(()),
        Err(error) => Err(format!("the kernel made {} segments, and we none: {error}", theirs.len())),
        // Behind a tag, a packet socket looks for the transport in the wrong place (`packet_parse_headers`).
        Ok(_) if theirs.is_empty() && large.header.needs_checksum().is_none() && large.has("VLAN") => Ok(()),
        Ok(_) if theirs.is_empty() && tunnel::is_plain(large) => Ok(()),
        // A packet that is not cut must fit the device (`packet_snd`, `is_skb_forwardable`, Linux 6.18).
        Ok(ours) if theirs.is_empty() && ours.len() == 1 && large.packet.len() > LONGEST as usize => Ok(()),
        Ok(_) if theirs.is_empty() => Err("the kernel refused it, and we did not".into()),
        Ok(ours) => all_same(large, ours, theirs),
    }
}

fn all_same(large: &Large, ours: &[Vec<u8>], theirs: &[Vec<u8>]) -> Result<(), String> {
    if ours.len() != theirs.len() {
        return Err(format!("we made {} segments, and the kernel {}", ours.len(), theirs.len()));
    }
    let mut pairs = ours.iter().zip(theirs).enumerate();
    pairs.try_for_each(|(index, (ours, theirs))| same(large, index, ours, theirs))
}

fn same(large: &Large, index: usize, ours: &[u8], theirs: &[u8]) -> Result<(), String> {
    let wrong = tunnel::wrong_checksum(large);
    let is_wrong = |at: usize| wrong.is_some_and(|wrong| (wrong..wrong + 2).contains(&at));
    let differs = |at: usize| ours.get(at) != theirs.get(at) && !is_wrong(at);
    match (0..ours.len().max(theirs.len())).find(|&at| differs(at)) {
        None => Ok(()),
        Some(at) => Err(format!(
            "segment {index} differs at byte {at}: ours has {} bytes, {}, the kernel's {}, {}",
            ours.len(),
            shown(ours),
            theirs.len(),
            shown(theirs)
        )),
    }
}

/// The headers, more or less.
fn shown(packet: &[u8]) -> String {
    packet.iter().take(120).map(|byte| format!("{byte:02x}")).collect()
}

fn describe(settings: &Settings, case: u64, large: &Large, why: &str) -> String {
    format!(
        "{why}\n{:?}, {:?}, {} bytes: {}\n{:?}\ncargo xtask oracle --seed {} --case {case}",
        large.layer,
        large.header,
        large.packet.len(),
        shown(&large.packet),
        large.properties,
        settings.seed
    )
}

impl Seen {
    /// Merges these segments, which are so in the arena, and has the kernel cut what comes out: that must be
    /// the same segments.
    fn merge_again(
        &mut self,
        kernel: &mut Kernel,
        coalescers: &mut [Coalescer; 2],
        large: &Large,
        (mut arena, parts): (Vec<u8>, Vec<Parts>),
        segments: &[Vec<u8>],
    ) -> Result<(), String> {
        let bytes = |parts: &Parts| [&arena[parts.first.clone()], &arena[parts.rest.clone()]].concat();
        if !parts.iter().map(bytes).eq(segments.iter().cloned()) {
            return Err("the segments with their headers apart are others".into());
        }
        let [of_tun, of_tap] = coalescers;
        let coalescer = if large.layer == Layer::Tun { of_tun } else { of_tap };
        let mut batch = coalescer.merge(&mut arena, &parts, sum);
        let mut next = segments.iter();
        while let Some(merged) = batch.next() {
            let expected: Vec<_> = next.by_ref().take(merged.packets()).collect();
            let bytes = merged.pieces().collect::<Vec<_>>().concat();
            if merged.packets() == 1 {
                if &bytes != expected[0] {
                    return Err("a packet that was not merged changed".into());
                }
                continue;
            }
            self.merged += merged.packets() as u64;
            self.merged_into += 1;
            let again = kernel.cut(large.layer, &merged.header(), &bytes)?;
            if !again.iter().eq(expected) {
                return Err(format!(
                    "{} merged packets are cut into others: {:?}",
                    merged.packets(),
                    merged.header()
                ));
            }
        }
        if next.next().is_some() { Err("packets were lost".into()) } else { Ok(()) }
    }

    /// What the kernel hands out to be cut must become the same as what it cuts itself.
    fn judge_handed_out(
        &mut self,
        kernel: &Kernel,
        large: &Large,
        ours: &Result<Vec<Vec<u8>>, SplitError>,
        theirs: &[Vec<u8>],
    ) -> Result<(), String> {
        if !is_tunneled(&large.header) || ours.is_err() || theirs.is_empty() || tunnel::lacks_a_tag(large) {
            return Ok(());
        }
        let [(header, packet)] = kernel.handed_out() else {
            // The longest packets are not handed out whole (`gso_features_check`, Linux 6.18), but in
            // segments whose checksum is left to the program. One of zero is 0xffff then.
            return Ok(());
        };
        self.handed_out += 1;
        let link = if large.layer == Layer::Tun { usize::from(ETHERNET) } else { 0 };
        let segments: Vec<_> = cut(Layer::Tap, header, packet)
            .map_err(|error| format!("what the kernel handed out is refused: {error}: {header:?}"))?
            .iter()
            .map(|segment| segment[link..].to_vec())
            .collect();
        all_same(large, &segments, theirs).map_err(|why| format!("of what the kernel handed out, {why}"))
    }

    fn note(&mut self, large: &Large, segments: &[Vec<u8>]) {
        let counts = if segments.is_empty() {
            self.refused += 1;
            &mut self.faults
        } else {
            self.cut += 1;
            self.segments += segments.len() as u64;
            self.eight_or_more += u64::from(segments.len() >= 8);
            self.forty_or_more += u64::from(segments.len() >= 40);
            &mut self.properties
        };
        let mut properties = large.properties.clone();
        properties.sort_unstable();
        properties.dedup();
        for property in properties {
            *counts.entry(property).or_default() += 1;
        }
    }

    /// A run that has left something out proves nothing of it.
    fn check(&self, tunnels: bool) -> Result<(), String> {
        let mut missing = Vec::new();
        let (of_tunnels, faults_of_tunnels): (&[_], &[_]) =
            if tunnels { (&tunnel::PROPERTIES, &tunnel::FAULTS) } else { (&[], &[]) };
        for property in PROPERTIES.iter().chain(of_tunnels) {
            let count = self.properties.get(property).copied().unwrap_or(0);
            println!("{property:<32} {count:>8} cut");
            if count * SHARE < self.cut {
                missing.push(*property);
            }
        }
        for fault in FAULTS.iter().chain(faults_of_tunnels) {
            let count = self.faults.get(fault).copied().unwrap_or(0);
            println!("{fault:<32} {count:>8} refused");
            if count * SHARE < self.refused {
                missing.push(*fault);
            }
        }
        println!("{:<32} {:>8} into {}", "merged again", self.merged, self.merged_into);
        println!("{:<32} {:>8} cut", "handed out to be cut", self.handed_out);
        println!("{:<32} {:>8} cut", "8 segments or more", self.eight_or_more);
        println!("{:<32} {:>8} cut", "40 segments or more", self.forty_or_more);
        if tunnels && self.handed_out * 2 < self.properties.get("tunnel").copied().unwrap_or(0) {
            missing.push("handed out to be cut");
        }
        if self.eight_or_more * 2 < self.cut {
            missing.push("8 segments or more");
        }
        if self.forty_or_more * 10 < self.cut {
            missing.push("40 segments or more");
        }
        // Most are merged: what is alone, or has a flag that seals its flow, is not.
        if self.merged * 2 < self.segments {
            missing.push("segments that were merged again");
        }
        if missing.is_empty() { Ok(()) } else { Err(format!("too few packets had: {}", missing.join(", "))) }
    }
}
