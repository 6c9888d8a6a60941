//! The conformance suite, on the mock: the same cases that the kernel passes.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use tunctl_mock::KernelProfile;
use tunctl_mock::conformance::MockHarness;

fn main() -> ExitCode {
    let trials = KernelProfile::ALL.iter().flat_map(|&profile| {
        tunctl_conformance::cases::<MockHarness>().into_iter().map(move |case| {
            let name = format!("{}::{}::{}", profile.release(), case.subject(), case.name());
            Trial::test(name, move || {
                match case.run(&MockHarness::new(profile)).not_applicable {
                    None => Ok(()),
                    // The mock has everything that the suite asks about.
                    Some(why) => Err(why.into()),
                }
            })
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
