//! The suite, and before it what it rests on.

mod evidence;
mod features;
mod obstacles;

use std::process::ExitCode;

use tunctl_testing::conformance_cases;

pub(crate) fn main() -> ExitCode {
    tunctl_testing::main(
        [evidence::cases(), features::cases(), obstacles::cases(), conformance_cases()].concat(),
    )
}
