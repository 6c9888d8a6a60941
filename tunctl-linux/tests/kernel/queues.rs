//! Interfaces with several queues.

use tunctl_core::{Cause, CreateOptions, TunDevice};
use tunctl_testing::{Case, Snapshot, case, ip};

use super::support::{create, driver_report, exists, open, refused, tun};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(several_devices_share_a_multi_queue_interface),
        case!(single_and_multi_queue_do_not_mix),
        case!(the_257th_queue_is_one_too_many),
        case!(queues_with_other_packet_headers_do_not_mix),
    ]
}

fn multi() -> CreateOptions {
    CreateOptions::tun().multi_queue(true)
}

fn several_devices_share_a_multi_queue_interface() {
    let first = create(multi(), "mq0");
    let second = open(multi(), "mq0").unwrap();
    let third = open(multi(), "mq0").unwrap();
    assert_eq!(driver_report("mq0")["numqueues"], 3);
    assert_eq!(first.name().unwrap(), third.name().unwrap());
    drop(first);
    assert_eq!(driver_report("mq0")["numqueues"], 2);
    drop((second, third));
    assert!(!exists("mq0"));
}

fn single_and_multi_queue_do_not_mix() {
    let _single = tun("one");
    let _multi = create(multi(), "many");
    ip("tuntap add dev idle mode tun");
    ip("tuntap add dev idlemq mode tun multi_queue");
    for (options, name) in [
        (multi(), "one"),
        (CreateOptions::tun(), "many"),
        (multi(), "idle"),
        (CreateOptions::tun(), "idlemq"),
    ] {
        let error = refused(open(options, name));
        assert_eq!(error.cause(), Cause::QueueMismatch, "{error}");
        assert!(error.remedy().is_some(), "{error}");
    }
}

fn the_257th_queue_is_one_too_many() {
    let first = create(multi(), "mq0");
    let others: Vec<_> = (1..256).map(|_| open(multi(), "mq0").unwrap()).collect();
    assert_eq!(driver_report("mq0")["numqueues"], 256);
    let before = Snapshot::take();
    let error = refused(open(multi(), "mq0"));
    assert_eq!(error.cause(), Cause::TooManyQueues, "{error}");
    assert_eq!(error.raw_os_error(), Some(7));
    assert_eq!(Snapshot::take(), before);
    assert_eq!(driver_report("mq0")["numqueues"], 256);
    drop((first, others));
}

fn queues_with_other_packet_headers_do_not_mix() {
    let _first = create(multi(), "mq0");
    for options in [multi().packet_information(true), multi().vnet_header(true)] {
        let error = refused(open(options, "mq0"));
        assert_eq!(error.cause(), Cause::HeaderMismatch, "{error}");
        // The kernel would have changed them under the first queue.
        let report = driver_report("mq0");
        assert_eq!(report["pi"], false);
        assert_eq!(report["vnet_hdr"], false);
        assert_eq!(report["numqueues"], 1);
    }
}
