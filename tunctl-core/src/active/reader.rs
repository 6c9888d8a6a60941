//! The thread that reads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::channel::{Channel, Permission};
use super::{ActiveEvent, PacketBuffer};
use crate::{Error, Interface, Interrupter, Readiness, TunDevice, WaitOutcome};

/// How many packets are read before the locks are released: about twenty microseconds of a fast device.
const BURST: usize = 32;

/// The longest time from a packet to the next query of the kernel's drop counter.
const QUERY_DELAY: Duration = Duration::from_millis(100);

pub(super) struct Reader<D> {
    device: D,
    channel: Arc<Channel>,
    stop: Interrupter,
    spare: Vec<Vec<u8>>,
    events: Vec<ActiveEvent>,
    drops: DropCounter,
}

/// How many packets the kernel has dropped.
struct DropCounter {
    /// The count at the last report. `None`: the system does not count them.
    reported: Option<u64>,
    /// When to query the kernel again.
    due: Option<Instant>,
}

/// Why a burst ended.
enum BurstEnd {
    /// Its limit was reached, or another thread wants control.
    Limit,
    /// The device has no packet.
    Empty,
    Failed(Error),
}

/// Ends the events when the thread ends, also by a panic.
struct CloseOnDrop(Arc<Channel>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<D: TunDevice> Reader<D> {
    pub(super) fn new(device: D, channel: Arc<Channel>, stop: Interrupter) -> Self {
        let drops = DropCounter { reported: device.interface().dropped().ok(), due: None };
        Self { device, channel, stop, spare: Vec::new(), events: Vec::new(), drops }
    }

    pub(super) fn run(mut self) {
        let _close = CloseOnDrop(self.channel.clone());
        while let Some(after_a_pause) = self.may_read() {
            if after_a_pause {
                self.report_drops();
            }
            let failure = match self.burst() {
                BurstEnd::Limit => None,
                BurstEnd::Empty => self.wait().err(),
                BurstEnd::Failed(error) => Some(error),
            };
            if self.drops.is_due() {
                self.report_drops();
            }
            if let Some(error) = failure {
                let is_gone = error.is_gone();
                self.channel.control().turn_off();
                self.deliver(ActiveEvent::Failed(error));
                if is_gone {
                    return;
                }
            }
        }
        // Drops since the last query must be reported before the events end.
        self.report_drops();
    }

    /// Waits until the mode allows a packet and a buffer is free. Returns whether it had to wait, or `None`
    /// if it is to end.
    fn may_read(&mut self) -> Option<bool> {
        let Permission::Granted { after_a_pause: was_off } = self.channel.wait_for_permission() else {
            return None;
        };
        let Permission::Granted { after_a_pause: was_full } =
            self.channel.take_buffers(&mut self.spare, BURST)
        else {
            return None;
        };
        Some(was_off || was_full)
    }

    /// Reads packets up to the limit and delivers them.
    fn burst(&mut self) -> BurstEnd {
        let mut control = self.channel.control();
        let allowed = control.allowed().min(BURST);
        let mut end = BurstEnd::Limit;
        let mut packets = 0;
        while packets < allowed && (packets == 0 || !self.channel.is_claimed()) {
            let Some(mut buffer) = self.spare.pop() else { break };
            match self.device.try_recv(&mut buffer) {
                Ok(length) => {
                    let packet = PacketBuffer::new(buffer, length, self.channel.clone());
                    self.events.push(ActiveEvent::Packet(packet));
                    packets += 1;
                }
                Err(error) => {
                    self.spare.push(buffer);
                    end = if error.is_would_block() { BurstEnd::Empty } else { BurstEnd::Failed(error) };
                    break;
                }
            }
        }
        if packets > 0 {
            self.drops.due.get_or_insert_with(|| Instant::now() + QUERY_DELAY);
            if control.count(packets) {
                self.events.push(ActiveEvent::Passive);
            }
        }
        // Delivered under the lock: after a change of mode, the consumer finds all packets that were taken
        // before it.
        let notification = self.channel.deliver(&mut self.events);
        drop(control);
        notification.send();
        end
    }

    /// Waits for the device, or until the drop counter is due.
    fn wait(&self) -> Result<WaitOutcome, Error> {
        let left = self.drops.due.map(|due| due.saturating_duration_since(Instant::now()));
        self.device.wait_until(Readiness::Readable, left, Some(&self.stop))
    }

    fn report_drops(&mut self) {
        self.drops.due = None;
        let Some(reported) = self.drops.reported else { return };
        // The counter goes with the interface.
        let Ok(dropped) = self.device.interface().dropped() else { return };
        self.drops.reported = Some(dropped);
        if let Some(more @ 1..) = dropped.checked_sub(reported) {
            self.deliver(ActiveEvent::Dropped(more));
        }
    }

    fn deliver(&mut self, event: ActiveEvent) {
        self.events.push(event);
        self.channel.deliver(&mut self.events).send();
    }
}

impl DropCounter {
    fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }
}
