//! Active mode for a long time, with more packets than its consumer takes. Is each packet accounted for, and
//! does memory stay constant?

use std::fs;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tunctl_core::active::{ActiveEvent, ActiveMode, ActiveOptions, PacketEvents, activate};
use tunctl_core::{CreateOptions, Interface, State, TunBackend, TunDevice};
use tunctl_linux::LinuxBackend;
use tunctl_mock::MockBackend;

use super::traffic::KernelSide;

/// Packets that are sent, and that the consumer takes, in a millisecond.
const OFFERED: u64 = 200;
const TAKEN: u64 = 150;
/// The IP and UDP headers, and a number.
const SIZE: usize = 28 + 8;
/// By then all buffers are allocated.
const WARM: Duration = Duration::from_secs(2);

/// Soaks the kernel's driver, in this process's namespace.
pub(crate) fn kernel(time: Duration) -> Result<String, String> {
    const NAME: &str = "soak";
    let create = || -> tunctl_core::Result<_> {
        let device = LinuxBackend::new().create(&CreateOptions::tun().name(NAME))?;
        device.up("10.78.9.1/24".parse()?)?;
        Ok(device)
    };
    let device = create().map_err(|error| error.to_string())?;
    let side = KernelSide::new(NAME, [10, 78, 9, 1].into())?;
    run(device, time, |number| side.send(&number.to_be_bytes()))
}

/// Soaks the mock.
pub(crate) fn mock(time: Duration) -> Result<String, String> {
    let kernel = MockBackend::new();
    let create = || -> tunctl_core::Result<_> {
        let device = kernel.create(&CreateOptions::tun().name("soak"))?;
        device.interface().set_state(State::Up)?;
        Ok(device)
    };
    let device = create().map_err(|error| error.to_string())?;
    let mut packet = [0x45; SIZE];
    run(device, time, |number| {
        packet[SIZE - 8..].copy_from_slice(&number.to_be_bytes());
        kernel.inject("soak", packet);
        Ok(())
    })
}

/// What the consumer got.
#[derive(Default)]
struct Account {
    delivered: u64,
    reported: u64,
    disordered: u64,
}

fn run<D: TunDevice + 'static>(
    device: D,
    time: Duration,
    mut send: impl FnMut(u64) -> Result<(), String>,
) -> Result<String, String> {
    let (tun, events) =
        activate(device, ActiveOptions::default(), ActiveMode::On).map_err(|error| error.to_string())?;
    let consumer = consume(events);
    let mut memory = Memory::default();
    let (begun, mut sent) = (Instant::now(), 0);
    while begun.elapsed() < time {
        sent = offer(begun, sent, &mut send)?;
        memory.look(begun.elapsed())?;
    }
    // Each packet sent is in the kernel's queue, was received, or was dropped.
    let dropped = tun.statistics().dropped.ok_or("the system does not count what it dropped")?;
    while tun.statistics().received + dropped < sent {
        if begun.elapsed() > time + Duration::from_secs(20) {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    drop(tun);
    let account = consumer.join().map_err(|_| "the consumer panicked")?;
    memory.look(begun.elapsed())?;
    report(time, sent, dropped, &account, &memory)
}

/// Sends the packets that are due by now at a steady rate. Returns how many were sent in all.
fn offer(begun: Instant, sent: u64, mut send: impl FnMut(u64) -> Result<(), String>) -> Result<u64, String> {
    let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let due = milliseconds.saturating_mul(OFFERED);
    (sent..due).try_for_each(&mut send)?;
    thread::sleep(Duration::from_micros(300));
    Ok(due.max(sent))
}

/// Takes events at the consumer's rate.
fn consume(events: PacketEvents) -> JoinHandle<Account> {
    thread::spawn(move || {
        let (mut account, mut last) = (Account::default(), None);
        let begun = Instant::now();
        let mut free = Duration::ZERO;
        for event in events {
            match event {
                ActiveEvent::Packet(packet) => {
                    let number = packet.last_chunk().copied().map(u64::from_be_bytes);
                    account.disordered += u64::from(number <= last);
                    (last, account.delivered) = (number, account.delivered + 1);
                }
                ActiveEvent::Dropped(packets) => account.reported += packets,
                ActiveEvent::Passive | ActiveEvent::Failed(_) => {}
            }
            if account.delivered % TAKEN == 0 {
                // A time without packets does not raise the rate afterwards.
                free = free.max(begun.elapsed()) + Duration::from_millis(1);
                thread::sleep(free.saturating_sub(begun.elapsed()));
            }
        }
        account
    })
}

/// The resident memory of this process, in KiB.
#[derive(Default)]
struct Memory {
    warm: Option<u64>,
    most: u64,
    last: u64,
    looked: Duration,
}

impl Memory {
    /// Measures once a second.
    fn look(&mut self, now: Duration) -> Result<(), String> {
        if now < WARM || now < self.looked + Duration::from_secs(1) {
            return Ok(());
        }
        const STATUS: &str = "/proc/self/status";
        let status = fs::read_to_string(STATUS).map_err(|error| format!("read {STATUS}: {error}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        let resident = number.ok_or_else(|| format!("{STATUS} has no VmRSS"))?;
        (self.looked, self.last, self.most) = (now, resident, self.most.max(resident));
        self.warm.get_or_insert(resident);
        Ok(())
    }
}

fn report(
    time: Duration,
    sent: u64,
    dropped: u64,
    account: &Account,
    memory: &Memory,
) -> Result<String, String> {
    let Account { delivered, reported, disordered } = *account;
    let lost = sent.abs_diff(delivered + dropped);
    let lines = [
        format!("active mode, {time:?}: {OFFERED} packets offered and {TAKEN} taken in a millisecond"),
        format!("sent {sent}; delivered {delivered}; dropped by the kernel {dropped}, reported {reported}"),
        format!("lost here {lost}; out of order {disordered}"),
        match memory.warm {
            Some(warm) => format!(
                "resident memory: {warm} KiB after {WARM:?}, {} at most, {} at the end",
                memory.most, memory.last
            ),
            None => format!("resident memory: not measured in less than {WARM:?}"),
        },
    ];
    let text = lines.join("\n");
    if lost > 0 || disordered > 0 || reported != dropped {
        return Err(format!("packets are not accounted for\n{text}"));
    }
    Ok(text)
}
