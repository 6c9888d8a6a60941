//! The thread that reads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::channel::{Channel, Permission};
use super::{ActiveEvent, PacketBuffer};
use crate::{Error, Interface, Interrupter, Readiness, TunDevice, Wake};

/// How many packets are read before others get the locks: some twenty microseconds of a fast device.
const BURST: usize = 32;

/// How long after a packet the kernel is asked at the latest what it has dropped.
const INQUIRY: Duration = Duration::from_millis(100);

pub(super) struct Reader<D> {
    device: D,
    channel: Arc<Channel>,
    stop: Interrupter,
    spare: Vec<Vec<u8>>,
    events: Vec<ActiveEvent>,
    losses: Losses,
}

/// What the kernel has dropped.
struct Losses {
    /// Told so far; `None`: it does not say.
    told: Option<u64>,
    /// When it is to be asked again.
    due: Option<Instant>,
}

/// Why a burst was over.
enum Burst {
    /// There is more, or no permission to read it.
    Spent,
    /// There was nothing more.
    Empty,
    Failed(Error),
}

/// The consumer gets the end, whatever ends the thread.
struct End(Arc<Channel>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<D: TunDevice> Reader<D> {
    pub(super) fn new(device: D, channel: Arc<Channel>, stop: Interrupter) -> Self {
        let losses = Losses { told: device.interface().dropped().ok(), due: None };
        Self { device, channel, stop, spare: Vec::new(), events: Vec::new(), losses }
    }

    pub(super) fn run(mut self) {
        let _end = End(self.channel.clone());
        while let Some(after_a_pause) = self.may_read() {
            if after_a_pause {
                self.tell_losses();
            }
            let failure = match self.burst() {
                Burst::Spent => None,
                Burst::Empty => self.wait().err(),
                Burst::Failed(error) => Some(error),
            };
            if self.losses.is_due() {
                self.tell_losses();
            }
            if let Some(error) = failure {
                let is_gone = error.is_gone();
                self.channel.gate().turn_off();
                self.tell(ActiveEvent::Failed(error));
                if is_gone {
                    return;
                }
            }
        }
        // The last word: nothing is lost that is not counted.
        self.tell_losses();
    }

    /// Waits for permission and for room; whether reading paused. `None`: it is to end.
    fn may_read(&mut self) -> Option<bool> {
        let Permission::Granted { after_a_pause: was_off } = self.channel.wait_for_permission() else {
            return None;
        };
        let Permission::Granted { after_a_pause: was_full } = self.channel.provide(&mut self.spare, BURST)
        else {
            return None;
        };
        Some(was_off || was_full)
    }

    /// Reads what waits and is allowed, up to a limit, and delivers it.
    fn burst(&mut self) -> Burst {
        let mut gate = self.channel.gate();
        let allowed = gate.allowed().min(BURST);
        let mut end = Burst::Spent;
        let mut packets = 0;
        while packets < allowed && (packets == 0 || !self.channel.is_claimed()) {
            let Some(mut buffer) = self.spare.pop() else { break };
            match self.device.try_recv(&mut buffer) {
                Ok(length) => {
                    self.events.push(ActiveEvent::Packet(PacketBuffer::new(
                        buffer,
                        length,
                        self.channel.clone(),
                    )));
                    packets += 1;
                }
                Err(error) => {
                    self.spare.push(buffer);
                    end = if error.is_would_block() { Burst::Empty } else { Burst::Failed(error) };
                    break;
                }
            }
        }
        if packets > 0 {
            self.losses.due.get_or_insert_with(|| Instant::now() + INQUIRY);
            if gate.spend(packets) {
                self.events.push(ActiveEvent::Passive);
            }
        }
        let notification = self.channel.deliver(&mut self.events);
        drop(gate);
        notification.send();
        end
    }

    /// Waits for the device, and for the time to ask what was dropped.
    fn wait(&self) -> Result<Wake, Error> {
        let left = self.losses.due.map(|due| due.saturating_duration_since(Instant::now()));
        self.device.wait_interruptible(Readiness::Readable, left, Some(&self.stop))
    }

    fn tell_losses(&mut self) {
        self.losses.due = None;
        let Some(told) = self.losses.told else { return };
        // Of an interface that is gone there is nothing to be known.
        let Ok(dropped) = self.device.interface().dropped() else { return };
        self.losses.told = Some(dropped);
        if let Some(more @ 1..) = dropped.checked_sub(told) {
            self.tell(ActiveEvent::Dropped(more));
        }
    }

    fn tell(&mut self, event: ActiveEvent) {
        self.events.push(event);
        self.channel.deliver(&mut self.events).send();
    }
}

impl Losses {
    fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }
}
