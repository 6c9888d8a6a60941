//! Ours as a user without any right, who has the device from somebody else.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tunctl::linux::LinuxBackend;
use tunctl::prelude::*;
use tunctl_testing::{Background, Case, built_helper, case, install_helper};

use super::lab::{Keys, Lab, PROGRAM, on};
use super::ours::{client_file, server_file};
use super::traffic::{exchange, reach};

/// What `setpriv` takes away before it becomes the program behind it.
const NO_RIGHT: [&str; 5] =
    ["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"];

/// As the helper's policy has it.
const POLICY: &str = "[[rule]]\nuser = 65534\nlayers = [\"tun\"]\nnames = [\"vpns\"]\ndevices = 1\n\
                      addresses = [\"10.8.0.0/24\", \"fd08::/64\"]\nmtu = [576, 1500]\n";

pub(crate) fn cases() -> Vec<Case> {
    let cases = vec![
        case!(an_interface_of_the_user_is_opened),
        case!(an_interface_that_is_handed_over_is_adopted),
        // A file's capability counts in the first user namespace alone.
        case!(the_helper_creates_the_interface).outside_namespace(),
    ];
    let needs = |case: Case| case.needs_root().needs_tool("ip").needs_tool("ping").needs_tool("setpriv");
    cases.into_iter().map(needs).collect()
}

/// Starts a server by that command, to which its program and its file are added, and talks to it. They are
/// where the user can read both.
fn serve(lab: &Lab, mut command: Command) {
    let (server, client) = (Keys::new(), Keys::new());
    let file = lab.write("vpns", &server_file(&server, &[&client], ""));
    let program = file.with_file_name("program");
    fs::copy(PROGRAM, &program).unwrap();
    command.arg(program).arg("up").arg(file);
    let mut running = Background::start(command);
    assert_eq!(running.line(), "vpns: up, UDP port 51820, MTU 1420");
    let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    assert!(status.contains("\nCapPrm:\t0000000000000000\n"), "{status}");
    assert!(status.contains("\nUid:\t65534\t65534\t65534\t65534\n"), "{status}");
    let text = client_file(&client, 0, &server, "192.0.2.1:51820", "");
    let _at_client = lab.start(&lab.clients[0], "vpnc", &text);
    reach(&lab.clients[0], "10.8.0.1");
    exchange(&lab.clients[0], &lab.server, "fd08::1", 1 << 20);
    kill(Pid::from_raw(running.pid().cast_signed()), Signal::SIGTERM).unwrap();
    running.end();
}

fn an_interface_of_the_user_is_opened() {
    let lab = Lab::new(1);
    for command in [
        "ip tuntap add dev vpns mode tun user 65534 vnet_hdr",
        "ip address add 10.8.0.1/24 dev vpns",
        "ip address add fd08::1/64 dev vpns nodad",
        "ip link set vpns mtu 1420 up",
    ] {
        on(&lab.server, command);
    }
    let mut command = lab.server.command("setpriv");
    command.args(NO_RIGHT).stderr(Stdio::null());
    serve(&lab, command);
}

/// As socket activation does, in the place of descriptor 3.
fn an_interface_that_is_handed_over_is_adopted() {
    let lab = Lab::new(1);
    let options = CreateOptions::tun().name("vpns").vnet_header(true).mtu(1420).without_dad(true).up();
    let options = options.address("10.8.0.1/24").address("fd08::1/64");
    let device = LinuxBackend::new().in_namespace(&lab.server).unwrap().create(&options).unwrap();
    let mut command = lab.server.command("setpriv");
    command.args(NO_RIGHT).args(["sh", "-c"]);
    command.arg("LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\" 3>&2 2>/dev/null").arg("sh");
    command.stderr(OwnedFd::from(device));
    serve(&lab, command);
    assert!(!on(&lab.server, "ip link").contains("vpns"), "it ends with its descriptor");
}

fn the_helper_creates_the_interface() {
    install_helper(&built_helper(Path::new(PROGRAM)), POLICY);
    let lab = Lab::new(1);
    let mut command = lab.server.command("setpriv");
    // The helper's file has a capability, for which there must be room.
    command.args(&NO_RIGHT[..4]).stderr(Stdio::null());
    serve(&lab, command);
    assert!(!on(&lab.server, "ip link").contains("vpns"), "it ends with its descriptor");
}
