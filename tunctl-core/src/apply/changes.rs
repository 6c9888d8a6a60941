//! Several changes of an interface, to be made in one request.

use crate::config::Step;
use crate::{InterfaceAddress, Mtu, State};

/// Several changes of an interface, which [`Interface::change_together`](crate::Interface::change_together)
/// makes in one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changes {
    /// The MTU that it gets, first.
    pub mtu: Option<Mtu>,
    /// How many packets may wait for the program in each queue.
    pub queue_length: Option<u32>,
    /// Up or down.
    pub state: Option<State>,
    /// The addresses that it gets, last, in this order.
    pub addresses: Vec<InterfaceAddress>,
    /// Whether IPv6 addresses are added without duplicate address detection.
    pub without_dad: bool,
}

impl Changes {
    /// The position from which on all steps can be made in one request.
    pub(super) fn begin(steps: &[Step]) -> usize {
        let is_alone =
            |step: &Step| !matches!(step, Step::SetMtu(_) | Step::SetQueueLength(_) | Step::SetState(_));
        steps.iter().rposition(is_alone).map_or(0, |last| last + 1)
    }

    /// These steps, and then these new addresses. `None`: a step is of another kind, or there is only one
    /// change.
    pub(super) fn of(steps: &[Step], addresses: Vec<InterfaceAddress>, without_dad: bool) -> Option<Self> {
        if steps.len() + addresses.len() < 2 {
            return None;
        }
        let mut changes = Self { addresses, without_dad, ..Self::default() };
        for step in steps {
            match *step {
                Step::SetMtu(wanted) => changes.mtu = Some(wanted),
                Step::SetQueueLength(wanted) => changes.queue_length = Some(wanted),
                Step::SetState(wanted) => changes.state = Some(wanted),
                _ => return None,
            }
        }
        Some(changes)
    }
}
