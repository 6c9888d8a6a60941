//! The cases, by subject.

mod active;
mod active_callback;
mod active_lifetime;
mod bulk;
mod drain;
mod events;
mod interruptible;
mod load;
mod source;
mod support;

use std::process::ExitCode;

pub(crate) fn main() -> ExitCode {
    let cases = [
        load::cases(),
        interruptible::cases(),
        source::cases(),
        drain::cases(),
        bulk::cases(),
        events::cases(),
        active::cases(),
        active_callback::cases(),
        active_lifetime::cases(),
    ];
    tunctl_testing::main(cases.into_iter().flatten().collect())
}
