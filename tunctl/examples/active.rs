//! Packets that come to the program as events: Erlang's `{active, N}` in Rust.
//!
//! A greeter takes packets one at a time and answers the first ping. Then it hands over to a worker, which
//! asks for a hundred at a time. The hand-over loses and reorders no packet, and the kernel's drops are
//! counted.
//!
//! ```text
//! cargo run -p tunctl --example active --features mock -- mock      no privilege; the example pings itself
//! sudo -E cargo run -p tunctl --example active --features mock -- kernel     then: ping 10.78.0.2
//! ```
//!
//! It ends when its interface is deleted (`sudo tunctl delete active0`).

use std::error::Error;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use tunctl::active::{ActiveDevice, ActiveEvent, ActiveMode, ActiveOptions, PacketEvents, activate};
use tunctl::mock::MockBackend;
use tunctl::packet::{echo_reply, ping_packet};
use tunctl::prelude::*;

/// How many packets the worker asks for at a time.
const PORTION: usize = 100;

/// What the host did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    answered: usize,
    portions: usize,
    dropped: u64,
}

/// Creates an interface with an address in a network.
fn start<B: TunBackend>(backend: &B) -> Result<B::Device> {
    let tun = backend.create(&CreateOptions::tun().name("active%d").address("10.78.0.1/24").up())?;
    Ok(tun)
}

/// Answers pings until the interface is gone.
fn serve<D: TunDevice + 'static>(tun: D) -> Result<Account> {
    let (tun, mut events) = activate(tun, ActiveOptions::default(), ActiveMode::Once)?;
    let mut account = Account::default();
    if greet(&tun, &mut events, &mut account)? {
        // The events move to the worker's thread, with those that wait.
        thread::scope(|scope| scope.spawn(|| work(&tun, events, &mut account)).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    }
    Ok(account)
}

/// Takes packets one at a time until one is a ping. Returns false if the events end before.
fn greet<D: TunDevice>(
    tun: &ActiveDevice<D>,
    events: &mut PacketEvents,
    account: &mut Account,
) -> Result<bool> {
    for event in events {
        if let ActiveEvent::Packet(packet) = event {
            if reply(tun.device(), &packet)? {
                account.answered += 1;
                return Ok(true);
            }
            tun.set_mode(ActiveMode::Once);
        }
    }
    Ok(false)
}

/// Takes packets by portions until the events end.
fn work<D: TunDevice>(tun: &ActiveDevice<D>, events: PacketEvents, account: &mut Account) -> Result<()> {
    tun.set_mode(ActiveMode::Count(PORTION));
    for event in events {
        match event {
            ActiveEvent::Packet(packet) => account.answered += usize::from(reply(tun.device(), &packet)?),
            ActiveEvent::Passive => {
                account.portions += 1;
                tun.set_mode(ActiveMode::Count(PORTION));
            }
            ActiveEvent::Dropped(packets) => account.dropped += packets,
            ActiveEvent::Failed(error) if error.is_gone() => {}
            ActiveEvent::Failed(error) => return Err(error),
        }
    }
    Ok(())
}

/// Answers a ping. Returns whether the packet was one.
fn reply<D: TunDevice>(tun: &D, packet: &[u8]) -> Result<bool> {
    let mut answer = [0; 1500];
    let Ok(length) = echo_reply(packet, &mut answer) else { return Ok(false) };
    tun.send(&answer[..length])?;
    Ok(true)
}

/// Acts as the mock's network: pings, checks the answers, and deletes the interface.
fn ping(system: &MockBackend, count: u16) -> Result<(), Box<dyn Error + Send + Sync>> {
    for number in 1..=count {
        system.inject(
            "active0",
            ping_packet("10.78.0.1".parse()?, "10.78.0.2".parse()?, 7, number, b"active")?,
        );
        let answer = system.take_within("active0", Duration::from_secs(10)).ok_or("no answer")?;
        let summary = Packet::parse(Layer::Tun, &answer)?.summary().to_string();
        let expected = format!("echo reply id 7 seq {number}");
        (summary == expected).then_some(()).ok_or(summary)?;
    }
    system.delete("active0");
    Ok(())
}

fn on_the_mock() -> Result<Account, Box<dyn Error>> {
    let system = MockBackend::new();
    let tun = start(&system)?;
    let pinging = thread::spawn(move || ping(&system, 250));
    let account = serve(tun)?;
    pinging.join().map_err(|_| "the system panicked")?.map_err(|error| error as Box<dyn Error>)?;
    Ok(account)
}

pub(crate) fn on_the_kernel() -> Result<Account, Box<dyn Error>> {
    let tun = start(&tunctl::native())?;
    println!("{} is up: ping 10.78.0.2", tun.name()?);
    Ok(serve(tun)?)
}

fn main() -> ExitCode {
    let account = match std::env::args().nth(1).as_deref() {
        Some("mock") => on_the_mock(),
        Some("kernel") => on_the_kernel(),
        _ => {
            eprintln!("say where: mock or kernel");
            return ExitCode::from(2);
        }
    };
    match account {
        Ok(Account { answered, portions, dropped }) => {
            println!(
                "{answered} pings answered, {portions} portions of {PORTION}, {dropped} dropped by the kernel"
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[test]
fn every_ping_is_answered_across_the_hand_over() {
    // The greeter answers one ping, the worker 249, which are two whole portions and a rest.
    assert_eq!(on_the_mock().unwrap(), Account { answered: 250, portions: 2, dropped: 0 });
}
