//! The client of the privileged helper, with helpers that do not what they should.

pub(crate) mod fake;

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, waitpid};
use tunctl_core::{
    Cause, CreateFlags, CreateOptions, Error, Events, Filters, Gid, Interface, InterfaceConfig,
    InterfaceIndex, Offloads, Operation, State, TunBackend, TunDevice, Uid,
};
use tunctl_linux::{HelperBackend, LinkType, LinuxBackend, LinuxDevice, Namespace, Observer};
use tunctl_packet::header::VnetFormat;
use tunctl_packet::{Filter, Layer};
use tunctl_testing::caller::become_user;
use tunctl_testing::{Case, case, entry, exists, finish, ip, ip_json, is_close_on_exec, link, open_files};

use super::support::{self, name, refused, tap, tun};
use fake::{TWIN, clean, helper, privileged};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_helper_that_is_silent_is_ended),
        case!(what_a_helper_grants_is_a_device),
        case!(what_a_helper_should_not_do_is_refused),
        case!(a_helper_that_stays_is_ended),
        case!(a_helper_that_is_missing_or_does_not_start_is_said_to_be_so),
        case!(a_program_that_ignores_its_children_is_served).entry("ignoring", while_ignoring_children),
        case!(without_room_for_another_file_nothing_is_left),
        case!(what_the_helper_has_left_out_is_refused),
        case!(what_takes_no_right_is_done_by_the_program),
        case!(what_exists_is_refused_before_the_helper_starts),
        case!(opening_needs_no_helper),
        case!(what_is_absent_says_what_to_do_instead),
        case!(a_program_without_rights_looks_as_closely).needs_root().outside_namespace(),
        case!(absent_is_what_the_kernel_refuses_to_an_owner).needs_root(),
    ]
}

fn options() -> CreateOptions {
    CreateOptions::tun().name("vpn0")
}

/// What is left of a refused attempt: no file, no child, no interface.
#[track_caller]
fn without_trace<T>(work: impl FnOnce() -> T) -> T {
    let before = open_files();
    let made = work();
    assert_eq!(open_files(), before);
    assert_no_child();
    assert!(!exists("vpn0"));
    made
}

#[track_caller]
fn assert_no_child() {
    assert_eq!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Err(Errno::ECHILD));
}

#[track_caller]
fn create(behaviour: &str, options: &CreateOptions) -> Error {
    let backend = helper(behaviour);
    without_trace(|| refused(backend.create(options).map(drop)))
}

fn a_helper_that_is_silent_is_ended() {
    let started = Instant::now();
    let error = create("is silent", &options());
    assert_eq!(error.cause(), Cause::UnusableHelper, "{error}");
    assert!(error.to_string().contains("has not answered for 12 seconds"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20));
    clean();
}

fn what_a_helper_grants_is_a_device() {
    for behaviour in ["grants", "talks on"] {
        let options = options().mtu(1400).address("10.1.1.1/24").address("fd77::1/64").up();
        let device = helper(behaviour).create(&options).unwrap();
        assert_no_child();
        let seen = link("vpn0").unwrap();
        assert_eq!((seen["mtu"].as_u64(), seen["flags"][0].as_str()), (Some(1400), Some("POINTOPOINT")));
        assert_eq!(
            device.interface().index().get(),
            u32::try_from(seen["ifindex"].as_u64().unwrap()).unwrap()
        );
        assert_eq!(device.flags(), CreateFlags::TUN | CreateFlags::NO_PI);
        assert!(is_close_on_exec(&device));
        let flags = OFlag::from_bits_retain(fcntl(&device, FcntlArg::F_GETFL).unwrap());
        assert!(flags.contains(OFlag::O_NONBLOCK));
        // The kernel takes what it sends: it is up.
        assert_eq!(device.send(&[0x45; 20]).unwrap(), 20);
        drop(device);
        assert!(!exists("vpn0"));
    }
    for pattern in ["vpn%d", "vpn1%d"] {
        let device = helper("grants").create(&CreateOptions::tap().name(pattern)).unwrap();
        assert_eq!(device.name().unwrap().to_string(), pattern.replace("%d", "0"));
    }
    clean();
}

fn what_a_helper_should_not_do_is_refused() {
    for (behaviour, words) in [
        ("dies", "has ended without an answer (exit status: 0)"),
        ("crashes", "has ended without an answer (signal: 6"),
        ("is cut short", "in a form that this program does not know"),
        ("says too much", "in a form that this program does not know"),
        ("speaks another language", "in a form that this program does not know"),
        ("sends no descriptor", "has sent no descriptor"),
        ("sends two descriptors", "more than one descriptor"),
        ("sends many descriptors", "more than one descriptor"),
        ("refuses with a descriptor", "has refused, and sent a descriptor"),
        ("sends a pipe", "none of the TUN/TAP driver"),
        ("sends an unattached descriptor", "attached to no interface"),
        ("sends a descriptor of what is gone", "attached to no interface"),
        ("tells another name", "an interface named vpn0"),
        ("makes another name", "an interface named other"),
        ("makes a longer name", "an interface named vpn0x"),
        ("tells another index", "with another index"),
        ("tells other flags", "with other flags"),
        ("makes another layer", "with other flags"),
        ("makes packet information", "with other flags"),
        ("makes it another's", "that is not new"),
        ("is elsewhere", "another network namespace"),
    ] {
        println!("{behaviour}");
        let error = create(behaviour, &options());
        assert_eq!((error.operation(), error.cause()), (Operation::Create, Cause::UnusableHelper), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.to_string().contains("sudo tunctl helper install"), "{error}");
        assert_eq!(error.interface(), Some(name("vpn0")));
    }
    let error =
        without_trace_but("vpn0", || refused(helper("makes it persistent").create(&options()).map(drop)));
    assert!(error.to_string().contains("that is not new"), "{error}");
    // Nor is an interface taken for it that has its name, number, owner and flags here.
    let owner = Uid::new(0).unwrap();
    let twin = CreateOptions::tun().owner(owner).index(InterfaceIndex::new(TWIN).unwrap());
    let _twin = support::create(twin, "vpn0");
    let error = refused(helper("is elsewhere").create(&CreateOptions::tun().name("vpn%d")).map(drop));
    assert!(error.to_string().contains("another network namespace"), "{error}");
    clean();
}

/// A persistent interface that a helper has made is not the program's to remove.
fn without_trace_but<T>(left: &str, work: impl FnOnce() -> T) -> T {
    let before = open_files();
    let made = work();
    assert_eq!(open_files(), before);
    assert_no_child();
    ip(&format!("link delete dev {left}"));
    made
}

fn a_helper_that_stays_is_ended() {
    let started = Instant::now();
    drop(helper("lingers").create(&options()).unwrap());
    assert_no_child();
    assert!(started.elapsed() < Duration::from_secs(10));
    clean();
}

fn a_helper_that_is_missing_or_does_not_start_is_said_to_be_so() {
    let missing = HelperBackend::with_program("/nowhere/tunctl-helper");
    assert_eq!(missing.program(), None);
    let error = without_trace(|| refused(missing.create(&options()).map(drop)));
    assert_eq!(error.cause(), Cause::MissingHelper, "{error}");
    assert!(error.to_string().contains("/nowhere/tunctl-helper does not exist"), "{error}");
    assert!(error.to_string().contains("sudo tunctl helper install"), "{error}");
    let folder = HelperBackend::with_program("/proc");
    let error = without_trace(|| refused(folder.create(&options()).map(drop)));
    assert_eq!((error.cause(), error.raw_os_error()), (Cause::UnusableHelper, Some(Errno::EACCES as i32)));
    assert!(error.to_string().contains("does not start: /proc"), "{error}");
    assert_eq!(folder, HelperBackend::with_program("/proc"));
    assert_eq!(HelperBackend::default(), HelperBackend::new());
}

fn a_program_that_ignores_its_children_is_served() {
    let entry = entry("ignoring");
    let mut ignoring = Command::new("env");
    ignoring.arg("--ignore-signal=CHLD").arg(std::env::current_exe().unwrap());
    ignoring.envs(entry.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert_eq!(finish(&mut ignoring), "served");
}

fn while_ignoring_children() {
    assert!(tunctl_sys::signal::is_ignored(Signal::SIGCHLD as i32).unwrap());
    drop(helper("grants").create(&options()).unwrap());
    assert_eq!(refused(helper("dies").create(&options()).map(drop)).cause(), Cause::UnusableHelper);
    clean();
    print!("served");
}

fn without_room_for_another_file_nothing_is_left() {
    let backend = helper("grants");
    drop(backend.create(&options()).unwrap());
    let mut files = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        files.push(file);
    }
    let mut needed = 0;
    let device = loop {
        match backend.create(&options()) {
            Ok(device) => break device,
            Err(error) => assert_eq!(error.cause(), Cause::TooManyOpenFiles, "{needed}: {error}"),
        }
        assert_no_child();
        files.pop().expect("there is room in the end");
        needed += 1;
    };
    assert!(needed > 3, "a pair of sockets, the helper's files, the device");
    drop((device, files));
    assert!(!exists("vpn0"));
    clean();
}

fn what_the_helper_has_left_out_is_refused() {
    let error = create("leaves the MTU", &options().mtu(1400));
    assert_eq!((error.operation(), error.cause()), (Operation::SetMtu, Cause::Unsupported), "{error}");
    clean();
}

fn what_takes_no_right_is_done_by_the_program() {
    let config = InterfaceConfig::new().carrier(false).mac("02:00:00:00:00:07").up();
    let options = CreateOptions::tap().name("vpn0").config(config).persistent(true);
    let options = options.group(Gid::new(0).unwrap());
    drop(helper("grants").create(&options).unwrap());
    let seen = &ip_json("-details link show dev vpn0")[0];
    assert_eq!(seen["address"], "02:00:00:00:00:07");
    assert_eq!(seen["linkinfo"]["info_data"]["persist"], true, "{seen}");
    ip("link delete dev vpn0");
    clean();
}

fn what_exists_is_refused_before_the_helper_starts() {
    let _tap = tap("vpn0");
    for (existing, cause) in [("vpn0", Cause::Exists), ("lo", Cause::NotATun)] {
        let error = refused(helper("crashes").create(&CreateOptions::tun().name(existing)).map(drop));
        assert_eq!((error.cause(), error.raw_os_error()), (cause, Some(Errno::EBUSY as i32)), "{error}");
    }
    clean();
}

fn opening_needs_no_helper() {
    tun("vpn0").set_persist(true).unwrap();
    let backend = helper("crashes");
    for open in [HelperBackend::open, HelperBackend::open_or_create] {
        assert_eq!(open(&backend, &options()).unwrap().name().unwrap(), name("vpn0"));
    }
    assert_eq!(backend.interfaces().unwrap().len(), 1);
    backend.interface(&name("vpn0")).unwrap();
    backend.open(&options()).unwrap().destroy().unwrap();
    let backend = helper("grants");
    let error = refused(backend.open(&options()).map(drop));
    assert_eq!((error.operation(), error.cause()), (Operation::Open, Cause::NotFound));
    assert_eq!(backend.open_or_create(&options()).unwrap().name().unwrap(), name("vpn0"));
    let error = refused(helper("dies").open_or_create(&options()).map(drop));
    assert_eq!((error.operation(), error.cause()), (Operation::OpenOrCreate, Cause::UnusableHelper));
    clean();
}

fn what_is_absent_says_what_to_do_instead() {
    let device = helper("grants").create(&options()).unwrap();
    let interface = device.interface();
    for outcome in [
        interface.set_state(State::Up),
        interface.set_mtu("1400".parse().unwrap()),
        interface.add_address("10.1.1.1/24".parse().unwrap()).map(drop),
        interface.rename(&name("vpn1")),
        interface.delete(),
        interface.set_description(c"mine"),
        device.up("10.1.1.1/24".parse().unwrap()),
    ] {
        let error = refused(outcome);
        assert_eq!((error.cause(), error.interface()), (Cause::Unsupported, Some(name("vpn0"))), "{error}");
        assert!(error.remedy().is_some(), "{error}");
    }
    // What is so already is no change.
    interface.apply(&InterfaceConfig::new().mtu(1500).state(State::Down)).unwrap();
    // With the right, the other backend does it.
    let linux = LinuxBackend::new().interface(&name("vpn0")).unwrap();
    linux.set_mtu("1400".parse().unwrap()).unwrap();
    device.as_linux().interface().set_state(State::Up).unwrap();
    assert_eq!(interface.as_linux().snapshot().unwrap().info.mtu.get(), 1400);
    clean();
}

/// The kernel does not say to such a program in which namespace its device is.
fn a_program_without_rights_looks_as_closely() {
    const NOBODY: u32 = 65534;
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let folder = Path::new("/usr/local");
    mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).unwrap();
    let [grants, elsewhere] = ["grants", "is elsewhere"].map(|behaviour| privileged(folder, behaviour));
    let owner = Uid::new(NOBODY).unwrap();
    let twin = CreateOptions::tun().owner(owner).index(InterfaceIndex::new(TWIN).unwrap());
    let twin = support::create(twin, "vpn0");
    become_user(NOBODY, NOBODY);

    let error = refused(elsewhere.create(&CreateOptions::tun().name("vpn%d")).map(drop));
    assert!(error.to_string().contains("another network namespace"), "{error}");
    let before = twin.interface().info().unwrap();
    assert_eq!((before.owner, before.index.get()), (Some(owner), TWIN));
    drop(twin);
    for options in [CreateOptions::tun(), CreateOptions::tap().packet_information(true).vnet_header(true)] {
        let device = grants.create(&options.clone().name("vpn%d").up()).unwrap();
        assert_eq!((device.flags(), device.header_kind()), (options.get_flags(), options.get_header_kind()));
        let info = device.interface().info().unwrap();
        assert_eq!((info.owner, info.persistent, info.state), (Some(owner), false, State::Up));
        // The proof leaves no trace in the counters.
        assert_eq!(device.interface().statistics().unwrap().from_program.dropped, 0);
        device.destroy().unwrap();
    }
}

/// Where an owner would move its interface.
static ELSEWHERE: OnceLock<Namespace> = OnceLock::new();

/// An operation of a device of the other backend's, as its owner without the right tries it.
type Attempt = fn(&LinuxDevice) -> Result<(), Error>;

const ATTEMPTS: &[(Operation, Attempt)] = &[
    (Operation::SetPersist, |device| device.set_persist(false)),
    (Operation::SetOwner, |device| device.set_owner(Uid::new(4001).unwrap())),
    (Operation::SetGroup, |device| device.set_group(Gid::new(4001).unwrap())),
    (Operation::Duplicate, |device| device.try_clone().map(drop)),
    (Operation::AttachFilter, |device| {
        device.attach_filter(Filter::parse(Layer::Tap, "ip").unwrap().program())
    }),
    (Operation::DetachFilter, Filters::detach_filter),
    (Operation::SetMacFilter, |device| device.set_mac_filter(None)),
    (Operation::SetFilterProgram, |device| device.set_filter_program(None)),
    (Operation::SetSteeringProgram, |device| device.set_steering_program(None)),
    (Operation::SetOffloads, |device| device.set_offloads(Offloads::CHECKSUM)),
    (Operation::SetVnetFormat, |device| device.try_clone()?.set_vnet_format(VnetFormat::default())),
    (Operation::SetSendBuffer, |device| device.set_send_buffer(1 << 20)),
    (Operation::SetLinkType, |device| device.set_link_type(LinkType::ETHERNET)),
    (Operation::SetMac, |device| device.interface().set_mac("02:00:00:00:00:01".parse().unwrap())),
    (Operation::SetCarrier, |device| device.interface().set_carrier(false)),
    (Operation::Name, |device| device.name().map(drop)),
    (Operation::Inspect, |device| device.interface().info().map(drop)),
    (Operation::ReadStatistics, |device| device.interface().statistics().map(drop)),
    (Operation::ListAddresses, |device| device.interface().addresses().map(drop)),
    (Operation::Watch, |device| device.interface().events().map(drop)),
    (Operation::Up, |device| device.interface().set_state(State::Up)),
    (Operation::SetMtu, |device| device.interface().set_mtu("1400".parse().unwrap())),
    (Operation::SetQueueLength, |device| device.interface().set_queue_length(7)),
    (Operation::Describe, |device| device.interface().set_description(c"mine")),
    (Operation::AddAddress, |device| {
        device.interface().add_address("10.1.1.1/24".parse().unwrap()).map(drop)
    }),
    (Operation::RemoveAddress, |device| device.interface().remove_address("10.2.2.2/24".parse().unwrap())),
    (Operation::Rename, |device| device.interface().rename(&name("vpn1"))),
    (Operation::Move, |device| device.interface().move_to(ELSEWHERE.get().unwrap())),
    (Operation::SetMaster, |device| device.interface().set_master("br0")),
    (Operation::Observe, |device| Observer::new(device.interface()).map(drop)),
    (Operation::Delete, |device| device.interface().delete()),
];

fn absent_is_what_the_kernel_refuses_to_an_owner() {
    ip("link add name br0 type bridge");
    ELSEWHERE.set(Namespace::new().unwrap()).unwrap();
    let options = CreateOptions::tap().vnet_header(true).address("10.2.2.2/24");
    let device = support::create(options.owner(Uid::new(4001).unwrap()), "vpn0");
    let capabilities = HelperBackend::new().capabilities();
    tunctl_testing::caller::as_caller(4001, 4001, false, &mut || {
        for (operation, attempt) in ATTEMPTS {
            let outcome = attempt(&device);
            let is_refused =
                outcome.as_ref().is_err_and(|error| error.raw_os_error() == Some(Errno::EPERM as i32));
            assert_eq!(capabilities.supports(*operation), !is_refused, "{operation:?}: {outcome:?}");
            assert!(is_refused || outcome.is_ok(), "{operation:?}: {outcome:?}");
        }
    });
}
