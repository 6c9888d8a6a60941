//! The library's operations, each as a program: what it does, and whether all of it succeeded.

use std::io::{self, IoSlice, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use tunctl_core::{
    Adopt, CreateOptions, Error, EventWatcher, Events, Filters, Gid, Interface, InterfaceConfig, Interrupter,
    Layer, MacFilter, Queues, Readiness, Result, State, TunBackend, TunDevice, Uid,
};
use tunctl_linux::{LinuxBackend, LinuxDevice, Namespace, Observer, netns};
use tunctl_packet::Filter;
use tunctl_sys::linux::{iff, tun};

pub(crate) fn run(operation: &str) -> ExitCode {
    let outcome = match operation {
        "create-queues" => create_queues(),
        "open-and-configure" => open_and_configure(),
        "device-settings" => device_settings(),
        "packets" => packets(),
        "handle-properties" => handle_properties(),
        "handle-addresses" => handle_addresses(),
        "handle-delete" => {
            LinuxBackend::new().interface(&name("t0")).and_then(|interface| interface.delete())
        }
        "filters" => filters(),
        "adopt" => adopt(),
        "destroy" => destroy(),
        "observe" => observe(),
        "events" => events(),
        "enter-namespace" => enter_namespace(),
        "namespace" => in_new_namespace().map(drop),
        "handle-move" => move_away(),
        _ => panic!("there is no operation {operation}"),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Says something, unless that is what fails.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn name(text: &str) -> tunctl_core::InterfaceName {
    text.parse().expect("it is a name")
}

fn tun() -> CreateOptions {
    CreateOptions::tun().name("t0")
}

fn create_queues() -> Result<()> {
    let queues = LinuxBackend::new().create_queues(&tun().mtu(1400).address("10.1.1.1/24").up(), 3)?;
    queues[1].detach_queue()?;
    queues[1].attach_queue()?;
    queues[2].try_clone()?.destroy()?;
    Ok(())
}

fn open_and_configure() -> Result<()> {
    let options = tun().mtu(1400).address("10.2.2.2/24").owner(uid()).persistent(true);
    LinuxBackend::new().open(&options).map(drop)
}

fn uid() -> Uid {
    Uid::new(4001).expect("it is an id")
}

fn device_settings() -> Result<()> {
    let device = LinuxBackend::new().open(&tun())?;
    device.set_owner(uid())?;
    let group = Gid::new(4002).expect("it is an id");
    device.set_group(group).map_err(|error| left(&error, "the owner is set"))
}

/// The error of a step after which something stays, said as the library does.
fn left(error: &Error, what: &str) -> Error {
    say(&format!("Not undone: {what}"));
    error.clone()
}

fn packets() -> Result<()> {
    let device = LinuxBackend::new().open(&tun())?;
    let mut packet = [0; 28];
    packet[..4].copy_from_slice(&[0x45, 0, 0, 28]);
    device.send(&packet)?;
    device.send_vectored(&[IoSlice::new(&packet[..20]), IoSlice::new(&packet[20..])])?;
    let interrupter = Interrupter::new()?;
    interrupter.interrupt();
    device.wait_until(Readiness::Readable, Some(Duration::ZERO), Some(&interrupter))?;
    device.wait(Readiness::Writable, Some(Duration::from_secs(1)))?;
    match device.try_recv(&mut [0; 2000]) {
        Err(error) if error.is_would_block() => Ok(()),
        outcome => outcome.map(drop),
    }
}

fn handle_properties() -> Result<()> {
    let interface = LinuxBackend::new().interface(&name("t0"))?;
    interface.info()?;
    interface.dropped()?;
    interface.holders()?;
    let config = InterfaceConfig::new().name("t9").mtu(1400).queue_length(7).description("mine");
    interface.apply(&config.state(State::Down))?;
    interface.description().map(drop).map_err(|error| left(&error, "the configuration is applied"))
}

fn handle_addresses() -> Result<()> {
    let interface = LinuxBackend::new().interface(&name("t0"))?;
    let address = |text: &str| text.parse().expect("it is an address");
    interface.replace_addresses(&[address("10.1.1.2/24"), address("10.3.3.3/24"), address("fd78::1/64")])
}

/// Whether a tap has its filter is not among what iproute2 reports, so it is asked here, after each call.
fn filters() -> Result<()> {
    let device = LinuxBackend::new().open(&CreateOptions::tap().name("t0").packet_information(true))?;
    let program = |text| Filter::parse(Layer::Tap, text).expect("it is an expression").program().clone();
    let attached = device.attach_filter(&program("ip6"));
    assert_eq!(attached.is_ok(), is_filtered(&device), "{attached:?}");
    attached?;
    // A second one may be lost with the first, or leave it.
    device.attach_filter(&program("vlan 5 and arp"))?;
    assert!(is_filtered(&device), "it was replaced");
    let detached = device.detach_filter();
    assert_eq!(detached.is_err(), is_filtered(&device), "{detached:?}");
    detached?;
    for filter in [Some(MacFilter::of([2; 6])), None] {
        device.set_mac_filter(filter.as_ref())?;
    }
    device.set_filter_program(None)?;
    device.set_steering_program(None)
}

/// Whether a tap with packet information has a classic program: then the driver leaves out `IFF_NOFILTER`,
/// which is the same bit as `IFF_NO_PI`.
fn is_filtered(device: &LinuxDevice) -> bool {
    // At most one of two calls fails on purpose.
    let request = tun::iff(device.as_fd()).or_else(|_| tun::iff(device.as_fd()));
    request.expect("the driver answers").flags() & iff::NO_PI == 0
}

fn adopt() -> Result<()> {
    let backend = LinuxBackend::new();
    let device = backend.adopt(backend.open(&tun())?.into())?;
    // Where a question about it failed, the interface may be unknown.
    device.interface().info().map(drop)
}

fn destroy() -> Result<()> {
    Ok(LinuxBackend::new().open(&tun())?.destroy()?)
}

fn observe() -> Result<()> {
    let interface = LinuxBackend::new().interface(&name("t0"))?;
    let observer = Observer::new(&interface)?;
    match observer.try_next(&mut [0; 2000]) {
        Err(error) if error.is_would_block() => {}
        outcome => drop(outcome?),
    }
    observer.take_missed().map(drop)
}

fn in_new_namespace() -> Result<Namespace> {
    let namespace = Namespace::new()?;
    drop(LinuxBackend::new().in_namespace(&namespace)?.create(&tun().address("10.1.1.1/24").up())?);
    Ok(namespace)
}

fn move_away() -> Result<()> {
    let namespace = Namespace::new()?;
    LinuxBackend::new().interface(&name("t0"))?.move_to(&namespace)
}

fn events() -> Result<()> {
    let backend = LinuxBackend::new();
    for mut watcher in [backend.interface(&name("t0"))?.events()?, backend.events()?] {
        match watcher.next_until(Some(Duration::ZERO), None) {
            Err(error) if error.is_timed_out() => {}
            outcome => drop(outcome?),
        }
    }
    Ok(())
}

fn enter_namespace() -> Result<()> {
    netns::enter_new()?;
    drop(LinuxBackend::new().create(&tun().address("10.1.1.1/24").up())?);
    Ok(())
}
