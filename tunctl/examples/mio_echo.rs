//! A host that answers pings in mio's event loop.
//!
//! ```text
//! cargo run -p tunctl --example mio_echo --features mio,mock -- mock      no privilege; the example pings itself
//! sudo -E cargo run -p tunctl --example mio_echo --features mio,mock -- kernel     then: ping 10.78.0.2
//! ```
//!
//! It ends when its interface is deleted (`sudo tunctl delete echo0`).

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};
use tunctl::mio::{Drained, TunSource, may_receive};
use tunctl::mock::MockBackend;
use tunctl::packet::{echo_reply, ping_packet};
use tunctl::prelude::*;

const TUN: Token = Token(0);
/// Packets at a time, so that a flood does not delay other sources of the loop.
const BUDGET: usize = 64;

/// Creates an interface with an address in a network.
fn start<B: TunBackend>(backend: &B) -> Result<B::Device> {
    let tun = backend.create(&CreateOptions::tun().name("echo%d").address("10.78.0.1/24").up())?;
    Ok(tun)
}

/// Answers pings to any address until the interface is gone. Returns how many.
fn answer<D: TunDevice>(tun: D) -> io::Result<usize> {
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(16));
    let mut tun = TunSource::new(tun);
    poll.registry().register(&mut tun, TUN, Interest::READABLE)?;
    let (mut request, mut reply) = ([0; 1500], [0; 1500]);
    let mut answered = 0;
    loop {
        match poll.poll(&mut events, None) {
            // A signal came.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for _ in events.iter().filter(|event| event.token() == TUN && may_receive(event)) {
            // If the budget leaves packets, the next poll returns at once.
            let drained = tun.drain(&mut request, BUDGET, |request| {
                let Ok(length) = echo_reply(request, &mut reply) else { return };
                match tun.device().try_send(&reply[..length]) {
                    Ok(_) => answered += 1,
                    // As on any network, a packet that can't be sent is lost.
                    Err(error) => eprintln!("{error}"),
                }
            });
            match drained? {
                Drained::Gone => return Ok(answered),
                Drained::Empty | Drained::More => {}
            }
        }
    }
}

/// Acts as the mock's network: pings, takes the answers, and deletes the interface.
fn ping(system: &MockBackend, count: u16) -> Result<usize, Box<dyn Error>> {
    let mut answered = 0;
    for number in 1..=count {
        system.inject("echo0", ping_packet("10.78.0.1".parse()?, "10.78.0.2".parse()?, 7, number, b"mio")?);
        let answer = system.take_within("echo0", Duration::from_secs(10)).ok_or("no answer")?;
        println!("{}", Packet::parse(Layer::Tun, &answer)?.summary());
        answered += 1;
    }
    system.delete("echo0");
    Ok(answered)
}

fn on_the_mock() -> Result<(usize, usize), Box<dyn Error>> {
    let system = MockBackend::new();
    let tun = start(&system)?;
    let host = thread::spawn(move || answer(tun));
    let pinged = ping(&system, 5)?;
    Ok((pinged, host.join().map_err(|_| "the host panicked")??))
}

pub(crate) fn on_the_kernel() -> Result<usize, Box<dyn Error>> {
    let tun = start(&tunctl::native())?;
    println!("{} is up: ping 10.78.0.2", tun.name()?);
    Ok(answer(tun)?)
}

fn main() -> ExitCode {
    let answered = match std::env::args().nth(1).as_deref() {
        Some("mock") => on_the_mock().map(|(_, answered)| answered),
        Some("kernel") => on_the_kernel(),
        _ => {
            eprintln!("say where: mock or kernel");
            return ExitCode::from(2);
        }
    };
    match answered {
        Ok(count) => println!("{count} answered"),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

#[test]
fn every_ping_is_answered() {
    assert_eq!(on_the_mock().unwrap(), (5, 5));
}
