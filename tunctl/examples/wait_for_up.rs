//! A program of two threads: one sends, and waits while the interface is down; the other waits for the end of
//! the interface. Neither of them spins or sleeps.
//!
//! ```text
//! cargo run -p tunctl --example wait_for_up --features mock
//! ```
//!
//! Here it runs on the mock, and needs no privilege. On the kernel it would be `run(&tunctl::native(), 3)`.

use std::process::ExitCode;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use tunctl::mock::MockBackend;
use tunctl::packet::ping_packet;
use tunctl::prelude::*;

/// What the sender has done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) sent: usize,
    /// Attempts that failed because the interface was down.
    pub(crate) refused: usize,
}

/// Sends each packet. While the interface is down, it waits for "up".
fn send_all<D: TunDevice<Interface: Events>>(tun: &D, work: &Receiver<Vec<u8>>) -> Result<Account> {
    // Before the first attempt: so no change falls between an attempt and a wait.
    let mut events = tun.interface().events()?;
    let mut account = Account::default();
    for packet in work {
        loop {
            match tun.send(&packet) {
                Err(error) if error.cause() == Cause::Down => account.refused += 1,
                Err(error) if error.is_gone() => return Ok(account),
                sent => {
                    sent?;
                    break;
                }
            }
            loop {
                match events.next().transpose()?.map(|event| event.change()) {
                    // An overrun may have hidden it.
                    Some(Some(InterfaceChange::Up) | None) => break,
                    Some(_) => {}
                    None => return Ok(account), // the interface is gone
                }
            }
        }
        account.sent += 1;
    }
    Ok(account)
}

/// Has this many packets sent, and ends with the interface.
pub(crate) fn run<B: TunBackend<Interface: Events>>(backend: &B, count: u16) -> Result<Account> {
    let tun = backend.create(&CreateOptions::tun().name("wait%d").address("10.79.0.1/24"))?;
    println!("{} is there, and down", tun.name()?);
    let watcher = tun.interface().events()?;
    let (give, work) = sync_channel(1);
    thread::scope(|scope| {
        let sender = scope.spawn(|| send_all(&tun, &{ work }));
        for number in 0..count {
            let packet = ping_packet([10, 79, 0, 9].into(), [10, 79, 0, 1].into(), 1, number, b"work");
            if packet.is_ok_and(|packet| give.send(packet).is_err()) {
                break; // the sender has ended
            }
        }
        drop(give);
        for event in watcher {
            println!("{}", event?);
        }
        sender.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn on_the_mock() -> Result<Account> {
    const SOON: Duration = Duration::from_secs(10);
    let system = MockBackend::new();
    thread::scope(|scope| {
        let program = scope.spawn(|| run(&system, 3));
        // Another program brings it up when it likes, and deletes it after three packets.
        while system.interfaces()?.is_empty() {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(50));
        system.set_state("wait0", State::Up);
        for _ in 0..3 {
            assert!(system.take_within("wait0", SOON).is_some(), "the packet comes");
        }
        system.delete("wait0");
        program.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn main() -> ExitCode {
    match on_the_mock() {
        Ok(Account { sent, refused }) => {
            println!("{sent} sent; {refused} attempts found it down");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[test]
fn it_waits_instead_of_spinning() {
    assert_eq!(on_the_mock().unwrap(), Account { sent: 3, refused: 1 });
}
