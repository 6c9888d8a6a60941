//! Virtio-net headers, by themselves: which of them each side takes, in front of which packets.
//!
//! Sequences meet such headers too, but seldom enough that some type of segmentation never meets some
//! protocol. Here each type meets each protocol, and is taken and refused; a run in which one never was does
//! not count.

mod draw;
mod tally;

use tunctl_conformance::{DeviceOf, Harness, Observation};
use tunctl_core::{CreateOptions, InterfaceName, TunBackend, TunDevice};
use tunctl_mock::KernelProfile;
use tunctl_packet::header::HeaderKind;

use crate::differential::pair::Pair;
use crate::differential::random::Random;
use crate::differential::seen::{Answer, hex};
use draw::Drawn;
pub(crate) use tally::HeaderTally;

/// Where the random numbers of headers start, so that they are not those of the sequences.
const FIRST: u64 = 1 << 32;

/// What one side made of a packet: the answer, and what the system received.
type Verdict = (Answer, Vec<Vec<u8>>);

/// A difference between the sides, or between the kernel and the check that programs have.
pub(crate) struct HeaderDifference {
    pub(crate) number: u64,
    pub(crate) kind: String,
    pub(crate) text: String,
}

/// Draws the headers with these numbers, and compares what the two sides make of each; the first difference.
pub(crate) fn compare<M: Harness, K: Harness>(
    seed: u64,
    numbers: impl Iterator<Item = u64>,
    profile: KernelProfile,
    pair: &Pair<M, K>,
    tally: &mut HeaderTally,
) -> Option<HeaderDifference> {
    let drawn: Vec<(u64, Drawn)> = numbers
        .map(|number| (number, draw::next(&mut Random::of_case(seed, FIRST + number), &profile.vnet_rules())))
        .collect();
    if drawn.is_empty() {
        return None;
    }
    let model = verdicts(&(pair.model)(), &drawn);
    let kernel = verdicts(&(pair.kernel)(), &drawn);
    for (((number, drawn), model), kernel) in drawn.iter().zip(&model).zip(&kernel) {
        let is_taken = kernel.0.refusal().is_none();
        tally.add(drawn, is_taken);
        let checked = drawn.header.check(drawn.layer, &drawn.packet);
        let kind = match (model == kernel, &checked) {
            (false, _) => "the sides differ",
            // Of a packet that no header makes good, the check need not say so.
            (true, Ok(())) if !is_taken && drawn.is_a_packet() => "the check passes what the kernel refuses",
            _ => continue,
        };
        let kind = format!("virtio-net header, {:?}: {kind}", drawn.header.gso_type());
        let text = format!(
            "{drawn:?}\nkernel: {:?}\nmodel:  {:?}\ncheck:  {checked:?}\nreceived by the kernel: {:?}\n",
            kernel.0,
            model.0,
            kernel.1.iter().map(|packet| hex(packet)).collect::<Vec<_>>(),
        );
        return Some(HeaderDifference { number: *number, kind, text });
    }
    None
}

/// Sends each packet behind its header, on a tun or on a tap of a fresh system.
fn verdicts<H: Harness>(harness: &H, drawn: &[(u64, Drawn)]) -> Vec<Verdict> {
    let mut tun = Sender::new(harness, CreateOptions::tun(), "tun0");
    let mut tap = Sender::new(harness, CreateOptions::tap(), "tap0");
    let verdicts = drawn.iter().map(|(_, drawn)| match drawn.layer {
        tunctl_core::Layer::Tun => tun.send(harness, drawn),
        tunctl_core::Layer::Tap => tap.send(harness, drawn),
    });
    let verdicts = verdicts.collect();
    // They go with their namespace, which costs no wait.
    for device in [tun.device, tap.device] {
        let _ = device.set_persist(true);
    }
    verdicts
}

/// A device that is up, and what the system receives from it.
struct Sender<H: Harness> {
    device: DeviceOf<H>,
    observed: Box<dyn Observation>,
}

impl<H: Harness> Sender<H> {
    fn new(harness: &H, options: CreateOptions, name: &str) -> Self {
        let device = harness.backend().create(&options.vnet_header(true).name(name));
        let device = device.unwrap_or_else(|error| panic!("{error}"));
        let name = InterfaceName::new(name).expect("it is a name");
        harness.set_up(&name, true);
        Self { device, observed: harness.observe(&name) }
    }

    fn send(&mut self, _harness: &H, drawn: &Drawn) -> Verdict {
        if self.device.header_kind() != HeaderKind::Vnet(drawn.format()) {
            self.device.set_vnet_format(drawn.format()).unwrap_or_else(|error| panic!("{error}"));
        }
        let answer = Answer::of(self.device.try_send(&drawn.to_bytes()), Answer::Length);
        (answer, std::iter::from_fn(|| self.observed.take()).collect())
    }
}
