//! One way of a pair of queues: what is received is passed on.

use std::time::Instant;

use tunctl_core::bulk::{Bulk, RecvBatch, SendBatch};
use tunctl_core::{Interrupter, Result, TunDevice};

use crate::link::Link;
use crate::pump::{Direction, Hook, Pump, Verdict};
use crate::statistics::{Counters, Traffic};

/// One direction of a pair of queues.
pub(crate) struct Way<'a, H> {
    stop: &'a Interrupter,
    direction: Direction,
    /// `None` if nobody looks at packets.
    hook: Option<&'a H>,
    counters: &'a Counters,
    /// `None` if packets pass as they come.
    link: Option<Link>,
    started: Instant,
    dropped: u64,
    published: Traffic,
}

impl<'a, H: Hook> Way<'a, H> {
    pub(crate) fn new<A, B>(
        pump: &'a Pump<A, B>,
        index: u64,
        direction: Direction,
        hook: Option<&'a H>,
        counters: &'a Counters,
    ) -> Self {
        let wire = pump.wire;
        let seed = wire.seed ^ (index << 1 | u64::from(direction == Direction::Back)).rotate_right(8);
        let link = (!wire.is_perfect()).then(|| Link::new(wire, seed));
        let stop = &pump.stop;
        let (started, published) = (Instant::now(), Traffic::default());
        Self { stop, direction, hook, counters, link, started, dropped: 0, published }
    }

    pub(crate) fn forward<A: TunDevice, B: TunDevice>(mut self, from: &Bulk<A>, to: &Bulk<B>) -> Result<()> {
        let (mut received, mut sent) = (from.recv_batch(), to.send_batch());
        loop {
            let outcome = self.forward_once(from, to, &mut received, &mut sent);
            if outcome.is_err() {
                // What is on the way, or in a batch, goes no further.
                let on_the_way = self.link.as_ref().map_or(0, Link::on_the_way);
                self.dropped += on_the_way + sent.len() as u64;
            }
            let dropped = self.dropped + self.link.as_ref().map_or(0, Link::dropped);
            let now = Traffic::of(received.statistics(), sent.statistics(), dropped);
            self.counters.add(&now, &mut self.published);
            outcome?;
        }
    }

    /// Receives once, and sends what has arrived.
    fn forward_once<A: TunDevice, B: TunDevice>(
        &mut self,
        from: &Bulk<A>,
        to: &Bulk<B>,
        received: &mut RecvBatch,
        sent: &mut SendBatch,
    ) -> Result<()> {
        let due = self.link.as_ref().and_then(Link::due);
        let timeout = due.map(|due| due.saturating_sub(self.started.elapsed()));
        match from.recv_until(received, timeout, Some(self.stop)) {
            Err(error) if error.is_timed_out() || error.is_packet_lost() => {
                // What is in the batch was received, and passed on, before.
            }
            outcome => {
                outcome?;
                match self.link {
                    None => self.pass_all(received, to, sent)?,
                    Some(_) => self.put_on_the_wire(received, to, sent)?,
                }
            }
        }
        self.pass_arrived(to, sent)?;
        self.flush(to, sent)
    }

    fn put_on_the_wire<B: TunDevice>(
        &mut self,
        received: &mut RecvBatch,
        to: &Bulk<B>,
        sent: &mut SendBatch,
    ) -> Result<()> {
        while let Some(packet) = received.next() {
            if let Some(link) = &mut self.link {
                link.send(packet, self.started.elapsed());
            }
            self.pass_arrived(to, sent)?;
        }
        Ok(())
    }

    /// Passes on what was received.
    fn pass_all<B: TunDevice>(
        &mut self,
        received: &mut RecvBatch,
        to: &Bulk<B>,
        sent: &mut SendBatch,
    ) -> Result<()> {
        while match self.hook {
            None => received.pass_to(sent)?,
            Some(hook) => received.pass_to_if(sent, |packet| {
                let passes = hook.packet(self.direction, packet) == Verdict::Pass;
                self.dropped += u64::from(!passes);
                passes
            })?,
        } {
            self.flush(to, sent)?;
        }
        Ok(())
    }

    /// Passes on what has come to the end of the wire.
    fn pass_arrived<B: TunDevice>(&mut self, to: &Bulk<B>, sent: &mut SendBatch) -> Result<()> {
        while let Some(packet) = self.arrived() {
            self.pass(&packet, to, sent)?;
            if let Some(link) = &mut self.link {
                link.recycle(packet);
            }
        }
        Ok(())
    }

    fn flush<B: TunDevice>(&self, to: &Bulk<B>, sent: &mut SendBatch) -> Result<()> {
        match to.send_until(sent, None, Some(self.stop)) {
            // The batch counts it.
            Err(error) if error.is_packet_lost() => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    fn arrived(&mut self) -> Option<Vec<u8>> {
        let now = self.started.elapsed();
        self.link.as_mut()?.arrived(now)
    }

    fn pass<B: TunDevice>(&mut self, packet: &[u8], to: &Bulk<B>, sent: &mut SendBatch) -> Result<()> {
        if sent.is_full_for(packet.len()) {
            self.flush(to, sent)?;
        }
        let packet = sent.push(packet)?;
        if self.hook.is_some_and(|hook| hook.packet(self.direction, packet) == Verdict::Drop) {
            sent.pop();
            self.dropped += 1;
        }
        Ok(())
    }
}

/// Passes on what was received, as it is.
pub(crate) fn relay<A: TunDevice, B: TunDevice>(
    from: &Bulk<A>,
    to: &Bulk<B>,
    counters: &Counters,
    stop: &Interrupter,
) -> Result<()> {
    let mut received = from.recv_batch();
    let (mut passed, mut published) = (Traffic::default(), Traffic::default());
    loop {
        let outcome = relay_once(from, to, stop, &mut received, &mut passed);
        let statistics = received.statistics();
        passed.received = statistics.packets;
        passed.receive_calls = statistics.calls;
        let mut now = passed;
        now.lost += statistics.lost;
        counters.add(&now, &mut published);
        outcome?;
    }
}

fn relay_once<A: TunDevice, B: TunDevice>(
    from: &Bulk<A>,
    to: &Bulk<B>,
    stop: &Interrupter,
    received: &mut RecvBatch,
    passed: &mut Traffic,
) -> Result<()> {
    match from.recv_until(received, None, Some(stop)) {
        Err(error) if error.is_packet_lost() => return Ok(()),
        outcome => outcome?,
    };
    while let Some(large) = received.next_large() {
        match to.send_large_until(&large, None, Some(stop)) {
            Ok(_) => {
                passed.bytes += large.packet().len() as u64;
                passed.send_calls += 1;
                passed.sent += 1;
            }
            Err(error) if error.is_packet_lost() => passed.lost += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
