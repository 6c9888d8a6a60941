//! What happens to interfaces, in mio's loop.

use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Poll};
use tunctl_core::{EventWatcher, Events, InterfaceChange, InterfaceEvent, TunBackend, TunDevice};
use tunctl_testing::{Case, on_both};

use super::support::{A_MOMENT, LONG, TUN, events, name, tun};

pub(crate) fn cases() -> Vec<Case> {
    on_both![
        the_loop_wakes_for_each_burst_of_events,
        the_loop_wakes_for_an_overrun,
        a_watcher_that_is_dropped_is_deregistered,
    ]
}

/// A harness whose interfaces report events.
trait System: super::support::System<Backend: TunBackend<Device: 'static, Interface: Events> + Events> {}
impl<H> System for H where
    H: super::support::System<Backend: TunBackend<Device: 'static, Interface: Events> + Events>
{
}

fn register<W: EventWatcher>(poll: &Poll, watcher: &W) {
    let fd = watcher.as_fd().as_raw_fd();
    poll.registry().register(&mut SourceFd(&fd), TUN, Interest::READABLE).unwrap();
}

/// All that is there, and whether the stream has ended.
fn drain<W: EventWatcher>(watcher: &mut W) -> (Vec<InterfaceEvent>, bool) {
    let mut seen = Vec::new();
    loop {
        match watcher.try_next() {
            Ok(Some(event)) => seen.push(event),
            Ok(None) => return (seen, true),
            Err(error) => {
                assert!(error.is_would_block(), "{error}");
                return (seen, false);
            }
        }
    }
}

fn wakes(poll: &mut Poll, timeout: Duration) -> bool {
    events(poll, timeout).iter().any(|event| event.token() == TUN && event.is_readable())
}

fn the_loop_wakes_for_each_burst_of_events<H: System>(harness: &H) {
    let device = tun(harness, "tun0");
    let mut poll = Poll::new().unwrap();
    let mut watcher = device.interface().events().unwrap();
    register(&poll, &watcher);
    assert_eq!(drain(&mut watcher), (Vec::new(), false));
    let _early = wakes(&mut poll, A_MOMENT);
    for up in [false, true, false] {
        assert!(!wakes(&mut poll, A_MOMENT), "nothing has happened");
        harness.set_up(&name("tun0"), up);
        assert!(wakes(&mut poll, LONG));
        let change = if up { InterfaceChange::Up } else { InterfaceChange::Down };
        let (seen, has_ended) = drain(&mut watcher);
        assert_eq!(seen.iter().map(InterfaceEvent::change).collect::<Vec<_>>(), [Some(change)]);
        assert!(!has_ended);
    }
    harness.delete(&name("tun0"));
    assert!(wakes(&mut poll, LONG));
    assert!(drain(&mut watcher).1);
}

fn the_loop_wakes_for_an_overrun<H: System>(harness: &H) {
    let device = tun(harness, "tun0");
    let mut poll = Poll::new().unwrap();
    let mut watcher = device.interface().events().unwrap();
    register(&poll, &watcher);
    (0..3000).for_each(|number| harness.set_up(&name("tun0"), number % 2 == 1));
    assert!(wakes(&mut poll, LONG));
    let (seen, has_ended) = drain(&mut watcher);
    assert!(matches!(&seen[..], [InterfaceEvent::Overrun(_)]) && !has_ended, "{seen:?}");
    while wakes(&mut poll, A_MOMENT) {}
    harness.set_up(&name("tun0"), false);
    assert!(wakes(&mut poll, LONG));
    assert_eq!(drain(&mut watcher).0.len(), 1);
}

fn a_watcher_that_is_dropped_is_deregistered<H: System>(harness: &H) {
    let device = tun(harness, "tun0");
    let mut poll = Poll::new().unwrap();
    let watcher = device.interface().events().unwrap();
    register(&poll, &watcher);
    drop(watcher);
    harness.set_up(&name("tun0"), false);
    while !events(&mut poll, A_MOMENT).is_empty() {}
    harness.set_up(&name("tun0"), true);
    assert!(events(&mut poll, A_MOMENT).is_empty());
}
