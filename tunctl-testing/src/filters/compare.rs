//! The comparison.

use std::time::Instant;

use tunctl_core::Layer;
use tunctl_packet::Filter;

use super::expressions;
use super::packets;
use super::settings::Settings;
use super::tcpdump::{self, Compiled};
use crate::differential::random::Random;

/// Packets have case numbers of their own, so that they do not depend on the number of expressions.
const PACKETS: u64 = 1 << 32;

/// The bytes behind which no expression looks: the headers of Ethernet and of IPv4 with all options, and the
/// ports.
const LONGEST_HEADERS: usize = 14 + 60 + 4;

/// As many come on top for each `vlan` in an expression.
const TAG: usize = 4;

/// What was compared.
#[derive(Default)]
struct Tally {
    expressions: u64,
    /// Expressions that some packets matched, and others did not.
    decisive: u64,
    verdicts: u64,
    matches: u64,
    /// Verdicts of which tcpdump has two.
    undecided: u64,
    /// Verdicts in which libpcap's optimizer is mistaken.
    mistaken: u64,
    instructions: (usize, usize),
    differences: Vec<String>,
}

/// Compares; what is wrong.
pub(crate) fn run(settings: &Settings) -> Result<(), String> {
    let started = Instant::now();
    let mut tally = Tally::default();
    for layer in [Layer::Tun, Layer::Tap] {
        let packets = packets(settings, layer)?;
        for case in 0..settings.expressions {
            let mut random = Random::of_case(settings.seed, case);
            let drawn = || expressions::draw(&mut random, layer);
            let expression = settings.only.clone().unwrap_or_else(drawn);
            compare(&mut tally, layer, &expression, &packets)?;
            if settings.only.is_some() {
                break;
            }
        }
    }
    let Tally {
        expressions,
        decisive,
        verdicts,
        matches,
        undecided,
        mistaken,
        instructions: (ours, theirs),
        differences,
    } = &tally;
    println!(
        "{expressions} expressions, {decisive} of them decisive: {ours} instructions of ours, {theirs} of tcpdump's\n\
         {verdicts} verdicts, {matches} of them matches\n\
         {undecided} packets end too early for tcpdump to agree with itself; libpcap's optimizer is mistaken about \
         {mistaken}\n\
         {} differences, in {:.1} s",
        differences.len(),
        started.elapsed().as_secs_f64()
    );
    if let Some(first) = differences.first() {
        return Err(first.clone());
    }
    // A comparison in which all packets have one fate shows nothing.
    if settings.only.is_none() && decisive * 2 < *expressions {
        return Err("too few expressions match some packets and not others".into());
    }
    Ok(())
}

fn packets(settings: &Settings, layer: Layer) -> Result<Vec<Vec<u8>>, String> {
    let real = packets::real(layer)?;
    let mut packets = real.clone();
    for case in 0..settings.packets.saturating_sub(real.len() as u64) {
        packets.push(packets::draw(&mut Random::of_case(settings.seed, PACKETS + case), layer, &real));
    }
    Ok(packets)
}

/// Compares an expression's verdicts on all packets.
fn compare(tally: &mut Tally, layer: Layer, expression: &str, packets: &[Vec<u8>]) -> Result<(), String> {
    tally.expressions += 1;
    let ours = Filter::parse(layer, expression);
    let theirs = Theirs {
        optimized: tcpdump::compile(layer, expression, true)?,
        plain: tcpdump::compile(layer, expression, false)?,
        headers: LONGEST_HEADERS + TAG * expression.matches("vlan").count(),
    };
    let problem = match (ours, &theirs.plain) {
        (Ok(filter), Compiled::Program(_)) => {
            tally.instructions.0 += filter.program().instructions().len();
            tally.instructions.1 += theirs.length();
            judge(tally, &filter, &theirs, packets)
        }
        (Ok(_), refusal) => Some(format!("we take it, and tcpdump does not: {refusal:?}")),
        // We say so at once, and tcpdump by a program that drops all.
        (Err(error), Compiled::Program(_)) if error.message().starts_with("no packet") => {
            let found = packets.iter().find(|packet| theirs.verdict(packet) == Verdict::Keep);
            found.map(|packet| format!("we say that {error}, and tcpdump keeps {packet:02x?}"))
        }
        (Err(error), _) => Some(format!("we refuse it: {error}")),
    };
    tally.differences.extend(problem.map(|problem| format!("{layer}: {expression}: {problem}")));
    Ok(())
}

/// tcpdump's programs of one expression.
struct Theirs {
    optimized: Compiled,
    plain: Compiled,
    /// The bytes behind which they do not look.
    headers: usize,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Keep,
    Drop,
    /// The packet ends too early, and a load drops it that the optimizer has removed, or has not.
    Either,
    /// The packet is whole, and the optimizer has made a mistake.
    ///
    /// libpcap 1.10.3 compiles `dst net fd77::/63 and not fd77::/63` so that some packets match.
    Mistaken {
        plain: bool,
    },
}

impl Theirs {
    fn verdict(&self, packet: &[u8]) -> Verdict {
        let [optimized, plain] = [&self.optimized, &self.plain].map(|compiled| match compiled {
            Compiled::Program(program) => program.run(packet) != 0,
            Compiled::RejectsAll | Compiled::Refused(_) => false,
        });
        match (optimized, plain) {
            (true, true) => Verdict::Keep,
            (false, false) => Verdict::Drop,
            (_, plain) if packet.len() >= self.headers => Verdict::Mistaken { plain },
            _ => Verdict::Either,
        }
    }

    fn length(&self) -> usize {
        match &self.optimized {
            Compiled::Program(program) => program.instructions().len(),
            Compiled::RejectsAll | Compiled::Refused(_) => 0,
        }
    }
}

/// Compares the verdicts on each packet; the first difference.
fn judge(tally: &mut Tally, filter: &Filter, theirs: &Theirs, packets: &[Vec<u8>]) -> Option<String> {
    let (mut kept, mut dropped) = (0, 0);
    for packet in packets {
        let tree = filter.matches(packet);
        let program = filter.program().run(packet) != 0;
        let verdict = theirs.verdict(packet);
        let agrees = match verdict {
            Verdict::Keep => tree,
            Verdict::Drop => !tree,
            Verdict::Either => true,
            Verdict::Mistaken { plain } => tree == plain,
        };
        if tree != program || !agrees {
            return Some(format!("tree {tree}, program {program}, tcpdump {verdict:?}: {packet:02x?}"));
        }
        match verdict {
            Verdict::Keep => kept += 1,
            Verdict::Drop => dropped += 1,
            Verdict::Either => tally.undecided += 1,
            Verdict::Mistaken { .. } => tally.mistaken += 1,
        }
    }
    tally.verdicts += packets.len() as u64;
    tally.matches += kept;
    tally.decisive += u64::from(kept > 0 && dropped > 0);
    None
}
