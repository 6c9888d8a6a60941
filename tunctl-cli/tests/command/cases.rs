//! The cases, by what they are about.

mod configure;
mod create;
mod create_hold;
mod delete;
mod doctor;
mod events;
mod features;
mod helper;
mod lab;
mod lab_command;
mod lab_limits;
mod lab_mock;
mod list_cost;
mod messages;
mod names;
mod netns;
mod policy;
mod process;
mod pump;
mod pump_refused;
mod run;
mod show;
mod support;
mod unprivileged;
mod usage;
mod watch;
mod watch_attached;
mod watch_filter;

use std::process::ExitCode;
use std::time::Duration;

pub(crate) fn main() -> ExitCode {
    let cases = [
        // First the slow ones, so that the others run beside them.
        lab::cases(),
        lab_mock::cases(),
        lab_command::cases(),
        lab_limits::cases(),
        pump::cases(),
        pump_refused::cases(),
        watch::cases(),
        watch_attached::cases(),
        watch_filter::cases(),
        events::cases(),
        unprivileged::cases(),
        create::cases(),
        create_hold::cases(),
        configure::cases(),
        delete::cases(),
        doctor::cases(),
        features::cases(),
        helper::cases(),
        policy::cases(),
        show::cases(),
        list_cost::cases(),
        usage::cases(),
        messages::cases(),
        names::cases(),
        netns::cases(),
        run::cases(),
    ];
    // Each waits at most 10 seconds for one thing, and says then what it waited for.
    let limit = Duration::from_secs(45);
    tunctl_testing::main(cases.concat().into_iter().map(|case| case.limit(limit)).collect())
}
