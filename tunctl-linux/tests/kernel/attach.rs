//! The three verbs: create new, open existing, open or create.

use std::process;

use tunctl_core::{Cause, CreateOptions, Holder, TunBackend, TunDevice};
use tunctl_testing::{Background, Case, Snapshot, case, entry, ip};

use super::support::{backend, create, driver_report, exists, open, others, refused, tun};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(open_attaches_to_what_another_program_made),
        case!(open_creates_nothing),
        case!(open_or_create_does_whichever_is_needed),
        case!(open_wants_a_whole_name_and_nothing_exclusive),
        case!(the_other_layer_is_a_mismatch),
        case!(a_second_open_of_a_single_queue_is_busy_and_names_its_holder),
        case!(busy_names_another_process_as_the_holder).entry("hold", hold),
        case!(a_failed_open_leaves_nothing),
    ]
}

/// The queues of an idle persistent interface: opening it is seen by the carrier, which a queue brings.
fn is_attached(name: &str) -> bool {
    let report = std::fs::read_dir("/proc/self/fdinfo").unwrap();
    let wanted = format!("iff:\t{name}\n");
    report
        .filter_map(|file| std::fs::read_to_string(file.unwrap().path()).ok())
        .any(|text| text.contains(&wanted))
}

fn open_attaches_to_what_another_program_made() {
    ip("tuntap add dev made mode tun");
    assert!(!is_attached("made"));
    let device = open(CreateOptions::tun(), "made").unwrap();
    assert_eq!(others(), ["made"]);
    assert!(is_attached("made"));
    drop(device);
    assert!(exists("made") && !is_attached("made"));
}

fn open_creates_nothing() {
    let error = refused(open(CreateOptions::tun(), "none"));
    assert_eq!(error.cause(), Cause::NotFound, "{error}");
    assert_eq!(error.interface().unwrap().to_string(), "none");
    assert_eq!(others(), [""; 0]);
}

fn open_or_create_does_whichever_is_needed() {
    let options = CreateOptions::tun().name("either");
    let created = backend().open_or_create(&options).unwrap();
    assert_eq!(others(), ["either"]);
    let index = tunctl_testing::link("either").unwrap()["ifindex"].clone();
    created.set_persist(true).unwrap();
    drop(created);
    let opened = backend().open_or_create(&options).unwrap();
    assert!(is_attached("either"));
    assert_eq!(tunctl_testing::link("either").unwrap()["ifindex"], index);
    drop(opened);
    // Without a name, and with a pattern, there is nothing to open.
    let unnamed = backend().open_or_create(&CreateOptions::tun()).unwrap();
    let numbered = backend().open_or_create(&CreateOptions::tun().name("either%d")).unwrap();
    assert_eq!(others(), ["either", "tun0", "either0"]);
    drop((unnamed, numbered));
}

fn open_wants_a_whole_name_and_nothing_exclusive() {
    ip("tuntap add dev vpn0 mode tun");
    let before = Snapshot::take();
    for options in [
        CreateOptions::tun(),
        CreateOptions::tun().name("vpn%d"),
        CreateOptions::tun().name("vpn0").exclusive(true),
    ] {
        let error = refused(backend().open(&options));
        assert_eq!(error.cause(), Cause::InvalidOptions, "{error}");
        assert_eq!(Snapshot::take(), before);
    }
}

fn the_other_layer_is_a_mismatch() {
    ip("tuntap add dev tun7 mode tun");
    ip("tuntap add dev tap7 mode tap");
    for (options, name) in [(CreateOptions::tap(), "tun7"), (CreateOptions::tun(), "tap7")] {
        let named = options.name(name);
        for outcome in [backend().open(&named), backend().open_or_create(&named)] {
            let error = refused(outcome);
            assert_eq!(error.cause(), Cause::LayerMismatch, "{error}");
            assert_eq!(error.raw_os_error(), Some(22));
        }
    }
    assert_eq!(driver_report("tun7")["type"], "tun");
}

fn a_second_open_of_a_single_queue_is_busy_and_names_its_holder() {
    let _first = tun("tun0");
    for options in [CreateOptions::tun(), CreateOptions::tun().packet_information(true)] {
        let error = refused(open(options, "tun0"));
        assert_eq!(error.cause(), Cause::Busy, "{error}");
        assert_eq!(error.raw_os_error(), Some(16));
        let pids: Vec<_> = error.holders().iter().map(|holder| holder.pid).collect();
        assert_eq!(pids, [process::id()]);
        assert!(error.to_string().contains(&format!("pid {}", process::id())), "{error}");
    }
}

fn hold() {
    let _device = create(CreateOptions::tun(), "held");
    println!("held");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

fn busy_names_another_process_as_the_holder() {
    let mut other = Background::start(entry("hold"));
    assert_eq!(other.line(), "held");
    let error = refused(open(CreateOptions::tun(), "held"));
    assert_eq!(error.cause(), Cause::Busy, "{error}");
    let command = std::fs::read_to_string(format!("/proc/{}/comm", other.pid())).unwrap();
    let expected = Holder::new(other.pid(), command.trim_end());
    assert_eq!(error.holders(), [expected]);
    let found = backend().interface(&"held".parse().unwrap()).unwrap();
    assert_eq!(found.holders().unwrap().seen, error.holders());
    other.end();
    assert!(!exists("held"));
}

fn a_failed_open_leaves_nothing() {
    ip("tuntap add dev tun7 mode tun");
    let before = Snapshot::take();
    refused(open(CreateOptions::tap(), "tun7"));
    refused(open(CreateOptions::tun().multi_queue(true), "tun7"));
    refused(open(CreateOptions::tun(), "none"));
    refused(open(CreateOptions::tun(), "lo"));
    refused(backend().create(&CreateOptions::tun().name("tun7")));
    assert_eq!(Snapshot::take(), before);
}
