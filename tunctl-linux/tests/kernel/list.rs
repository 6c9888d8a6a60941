//! Interfaces found without attaching to them.

use tunctl_core::{
    Cause, CreateFlags, CreateOptions, Holders, Interface, Layer, State, TunBackend, TunDevice,
};
use tunctl_testing::{Case, Snapshot, case, ip, link};

use super::support::{backend, create, driver_report, name, open, refused, tun};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(the_list_has_every_tun_and_tap_and_nothing_else),
        case!(the_list_of_an_empty_namespace_is_empty),
        case!(many_interfaces_are_all_listed),
        case!(a_lookup_tells_missing_from_other_kinds),
        case!(info_agrees_with_iproute2),
        case!(looking_attaches_to_nothing_and_leaves_nothing),
        case!(holders_are_those_that_have_it_open),
        case!(a_survey_agrees_with_a_look_at_each),
    ]
}

fn listed() -> Vec<String> {
    let found = backend().interfaces().unwrap();
    found.iter().map(|found| found.name().unwrap().to_string()).collect()
}

fn the_list_has_every_tun_and_tap_and_nothing_else() {
    ip("tuntap add dev zebra mode tap");
    ip("link add veth0 type veth peer name veth1");
    ip("link add br0 type bridge");
    let _device = tun("apple");
    ip("tuntap add dev many mode tun multi_queue");
    ip("link set zebra master br0");
    // In the order of their indices, that of their creation.
    assert_eq!(listed(), ["zebra", "apple", "many"]);
    for found in backend().interfaces().unwrap() {
        let name = found.name().unwrap().to_string();
        assert_eq!(link(&name).unwrap()["ifindex"], found.index().get());
    }
    // A bridge port's `info_kind` is still its own.
    assert_eq!(driver_report("zebra")["type"], "tap");
    backend().interface(&name("zebra")).unwrap();
}

fn the_list_of_an_empty_namespace_is_empty() {
    assert_eq!(listed(), [""; 0]);
}

fn many_interfaces_are_all_listed() {
    // More than fit one answer of the kernel's.
    let devices: Vec<_> = (0..100).map(|_| tun("many%d")).collect();
    let names: Vec<_> = (0..100).map(|number| format!("many{number}")).collect();
    assert_eq!(listed(), names);
    assert_eq!(super::support::others(), names);
    drop(devices);
}

fn a_lookup_tells_missing_from_other_kinds() {
    ip("link add veth0 type veth peer name veth1");
    for (text, cause) in [("lo", Cause::NotATun), ("veth0", Cause::NotATun), ("none", Cause::NotFound)] {
        let error = refused(backend().interface(&name(text)));
        assert_eq!(error.cause(), cause, "{error}");
        assert_eq!(error.interface(), Some(name(text)));
    }
}

fn info_agrees_with_iproute2() {
    let multi = CreateOptions::tap().multi_queue(true).vnet_header(true).packet_information(true);
    let first = create(multi.clone(), "many");
    let second = open(multi, "many").unwrap();
    first.set_persist(true).unwrap();
    ip("link set many up mtu 1400");
    ip("tuntap add dev idle mode tun");
    for (text, layer, state, flags, queues) in [
        (
            "many",
            Layer::Tap,
            State::Up,
            CreateFlags::TAP | CreateFlags::MULTI_QUEUE | CreateFlags::VNET_HDR,
            Some(2),
        ),
        ("idle", Layer::Tun, State::Down, CreateFlags::TUN | CreateFlags::NO_PI, None),
    ] {
        let info = backend().interface(&name(text)).unwrap().info().unwrap();
        let (report, driver) = (link(text).unwrap(), driver_report(text));
        assert_eq!(info.name, name(text));
        assert_eq!(report["ifindex"], info.index.get());
        assert_eq!(report["mtu"], info.mtu.get());
        assert_eq!(driver["type"], info.layer.to_string());
        assert_eq!(driver["persist"], info.persistent);
        assert_eq!(driver["pi"], !info.flags.contains(CreateFlags::NO_PI));
        assert_eq!(driver["vnet_hdr"], info.flags.contains(CreateFlags::VNET_HDR));
        assert_eq!(driver["multi_queue"], info.flags.contains(CreateFlags::MULTI_QUEUE));
        assert_eq!(super::support::has_flag(text, "UP"), info.state == State::Up);
        assert_eq!((info.layer, info.state, info.flags), (layer, state, flags));
        assert_eq!(info.queues, queues);
        // The driver counts the queues of a multi-queue interface only.
        assert_eq!(driver.get("numqueues").and_then(serde_json::Value::as_u64), queues.map(u64::from));
        assert!(info.persistent);
        assert_eq!((info.owner, info.group), (None, None));
    }
    let held = open(CreateOptions::tun(), "idle").unwrap();
    assert_eq!(held.interface().info().unwrap().queues, Some(1));
    drop((first, second));
    let info = backend().interface(&name("many")).unwrap().info().unwrap();
    assert_eq!(info.queues, Some(0));
}

fn looking_attaches_to_nothing_and_leaves_nothing() {
    ip("tuntap add dev idle mode tun");
    let before = Snapshot::take();
    let report = link("idle");
    {
        let found = backend().interface(&name("idle")).unwrap();
        found.info().unwrap();
        found.addresses().unwrap();
        assert_eq!(found.holders().unwrap(), Holders::default());
        assert_eq!(backend().interfaces().unwrap().len(), 1);
        refused(backend().interface(&name("none")));
        refused(backend().interface(&name("lo")));
        // It is still free.
        drop(open(CreateOptions::tun(), "idle").unwrap());
    }
    assert_eq!(Snapshot::take(), before);
    assert_eq!(link("idle"), report);
}

fn holders_are_those_that_have_it_open() {
    let _other = tun("other");
    let device = tun("tun0");
    let found = backend().interface(&name("tun0")).unwrap();
    let Holders { seen: holders, others: false, .. } = found.holders().unwrap() else { panic!("others?") };
    assert_eq!(holders.len(), 1, "{holders:?}");
    assert_eq!(holders[0].pid, std::process::id());
    let command = std::fs::read_to_string("/proc/self/comm").unwrap();
    assert_eq!(holders[0].command, command.trim_end());
    device.set_persist(true).unwrap();
    drop(device);
    assert_eq!(found.holders().unwrap(), Holders::default());
    ip("link delete tun0");
    let error = refused(found.holders());
    assert!(error.is_gone(), "{error}");
}

fn a_survey_agrees_with_a_look_at_each() {
    assert!(backend().survey().unwrap().is_empty());
    let _tun = tun("tun0");
    let _queues = [(); 2]
        .map(|()| backend().open_or_create(&CreateOptions::tap().name("many").multi_queue(true)).unwrap());
    ip("tuntap add dev idle mode tap");
    ip("address add 10.1.1.1/24 dev idle");
    ip("link set idle alias uplink");
    ip("address add 10.1.2.1 peer 10.1.2.2 dev tun0");
    ip("link add veth0 type veth peer name veth1");
    let surveyed = backend().survey().unwrap();
    let each = backend().interfaces().unwrap();
    assert_eq!((surveyed.len(), each.len()), (3, 3));
    for (surveyed, interface) in surveyed.iter().zip(&each) {
        let snapshot = interface.snapshot().unwrap();
        assert_eq!(snapshot.info, interface.info().unwrap());
        assert_eq!(snapshot.addresses, interface.addresses().unwrap());
        assert_eq!(snapshot.description, interface.description().unwrap());
        assert_eq!(surveyed.snapshot, snapshot);
        assert_eq!(surveyed.holders, interface.holders().unwrap());
    }
    let holders: Vec<_> = surveyed.iter().map(|one| (one.holders.seen.len(), one.holders.others)).collect();
    assert_eq!(holders, [(1, false), (1, false), (0, false)]);
}
