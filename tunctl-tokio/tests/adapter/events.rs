//! What happens to an interface, in tasks.

use std::cell::Cell;

use futures_util::StreamExt;
use tunctl_core::{EventWatcher, Events, InterfaceChange, InterfaceEvent, State, TunBackend, TunDevice};
use tunctl_testing::{Case, on_both};
use tunctl_tokio::AsyncEvents;

use super::support::{name, one_thread, soon, threads, tun, waits};

pub(crate) fn cases() -> Vec<Case> {
    on_both![
        events_come_in_order_and_the_stream_ends,
        a_wait_that_is_dropped_loses_no_event,
        an_overrun_is_an_event,
        many_events_do_not_keep_other_tasks_from_running,
        a_task_that_sends_waits_for_up,
    ]
}

/// A harness whose interfaces report events.
trait System: super::support::System<Backend: TunBackend<Device: 'static, Interface: Events> + Events> {}
impl<H> System for H where
    H: super::support::System<Backend: TunBackend<Device: 'static, Interface: Events> + Events>
{
}

async fn change<W: EventWatcher>(events: &mut AsyncEvents<W>) -> InterfaceChange {
    soon(events.next()).await.unwrap().unwrap().change().unwrap()
}

fn events_come_in_order_and_the_stream_ends<H: System>(harness: &H) {
    one_thread().block_on(async {
        let device = tun(harness, "tun0");
        let mut events = AsyncEvents::new(device.interface().events().unwrap()).unwrap();
        assert!(waits(events.next()).await, "nothing has happened");
        harness.set_up(&name("tun0"), false);
        assert_eq!(change(&mut events).await, InterfaceChange::Down);
        for up in [true, false] {
            let (seen, ()) = tokio::join!(change(&mut events), async {
                tokio::task::yield_now().await;
                harness.set_up(&name("tun0"), up);
            });
            assert_eq!(seen, if up { InterfaceChange::Up } else { InterfaceChange::Down });
        }
        assert!(waits(events.next()).await);
        harness.delete(&name("tun0"));
        // As a stream.
        let last: Vec<_> = soon(StreamExt::collect::<Vec<_>>(events.by_ref())).await;
        let last: Vec<_> = last.into_iter().map(|event| event.unwrap().change()).collect();
        assert_eq!(last, [Some(InterfaceChange::Deleted)]);
        assert!(soon(events.next()).await.is_none());
        assert_eq!(events.into_watcher().try_next().unwrap(), None);
    });
}

fn a_wait_that_is_dropped_loses_no_event<H: System>(harness: &H) {
    one_thread().block_on(async {
        let device = tun(harness, "tun0");
        let mut events = AsyncEvents::new(harness.backend().events().unwrap()).unwrap();
        for up in [false, true, false, true] {
            assert!(waits(events.next()).await);
            harness.set_up(&name("tun0"), up);
            let expected = if up { InterfaceChange::Up } else { InterfaceChange::Down };
            assert_eq!(change(&mut events).await, expected);
        }
        drop(device);
    });
}

fn an_overrun_is_an_event<H: System>(harness: &H) {
    one_thread().block_on(async {
        let device = tun(harness, "tun0");
        let mut events = AsyncEvents::new(device.interface().events().unwrap()).unwrap();
        for number in 0..3000 {
            harness.set_up(&name("tun0"), number % 2 == 1);
        }
        let event = soon(events.next()).await.unwrap().unwrap();
        let InterfaceEvent::Overrun(interfaces) = event else { panic!("{event}") };
        assert_eq!(interfaces[0].info.state, State::Up);
        assert!(waits(events.next()).await);
        harness.set_up(&name("tun0"), false);
        assert_eq!(change(&mut events).await, InterfaceChange::Down);
    });
}

fn many_events_do_not_keep_other_tasks_from_running<H: System>(harness: &H) {
    one_thread().block_on(async {
        let _device = tun(harness, "tun0");
        let mut events = AsyncEvents::new(harness.backend().events().unwrap()).unwrap();
        (0..150).for_each(|number| harness.set_up(&name("tun0"), number % 2 == 1));
        let turns = Cell::new(0);
        let all = async {
            for _ in 0..150 {
                soon(events.next()).await.unwrap().unwrap();
            }
            turns.get()
        };
        let other = async {
            for _ in 0..10 {
                turns.set(turns.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        // The events are polled first, and all of them are there.
        let (turns_before_the_end, ()) = tokio::join!(biased; all, other);
        assert!(turns_before_the_end > 0);
    });
}

fn a_task_that_sends_waits_for_up<H: System>(harness: &H) {
    threads().block_on(async {
        let device = tun(harness, "tun0");
        let mut seen = harness.observe(&name("tun0"));
        harness.set_up(&name("tun0"), false);
        let sender = tokio::spawn(async move {
            let mut events = AsyncEvents::new(device.interface().events().unwrap()).unwrap();
            let mut attempts = 0;
            while let Err(error) = device.try_send(&super::support::packet(1)) {
                assert!(error.is_packet_lost(), "{error}");
                attempts += 1;
                while change(&mut events).await != InterfaceChange::Up {}
            }
            (attempts, device)
        });
        tokio::time::sleep(super::support::A_MOMENT).await;
        harness.set_up(&name("tun0"), true);
        let (attempts, _device) = soon(sender).await.unwrap();
        assert_eq!((attempts, seen.take()), (1, Some(super::support::packet(1))));
    });
}
