//! The cases, by what they are about.

mod bulk;
mod events;
mod fairness;
mod lifetime;
mod receive;
mod send;
mod stream;
mod support;
mod tasks;

use std::process::ExitCode;

pub(crate) fn main() -> ExitCode {
    let cases = [
        receive::cases(),
        send::cases(),
        lifetime::cases(),
        tasks::cases(),
        fairness::cases(),
        stream::cases(),
        events::cases(),
        bulk::cases(),
    ];
    tunctl_testing::main(cases.into_iter().flatten().collect())
}
