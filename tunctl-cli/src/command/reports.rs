//! What the system says of interfaces, in as few questions as it permits.

use tunctl::{Native, NativeInterface, Result};

use super::properties::Report;

/// Reports about an interface; with its counters, if they are wanted.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn one(interface: &NativeInterface, counters: bool) -> Result<Report> {
    Ok(report(interface.snapshot()?, interface.holders()?, counters))
}

/// Reports about all interfaces, in one walk through the processes.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn all(backend: &Native, counters: bool) -> Result<Vec<Report>> {
    let surveyed = backend.survey()?.into_iter();
    Ok(surveyed.map(|one| report(one.snapshot, one.holders, counters)).collect())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn report(snapshot: tunctl::linux::LinuxSnapshot, holders: tunctl::Holders, counters: bool) -> Report {
    let master = snapshot.master.map(|name| name.to_string());
    let report = Report::new(snapshot.info, &snapshot.description, &snapshot.addresses, holders, master);
    if counters { report.with_statistics(snapshot.statistics) } else { report }
}

/// These systems do not report holders. Their `fstat` lists which process has which node open.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn one(interface: &NativeInterface, counters: bool) -> Result<Report> {
    use tunctl::{Cause, Holders, Interface};

    let description = match interface.description() {
        Err(error) if error.cause() == Cause::Unsupported => Default::default(),
        description => description?,
    };
    let holders = Holders::new(Vec::new(), true);
    let report = Report::new(interface.info()?, &description, &interface.addresses()?, holders, None);
    Ok(if counters { report.with_statistics(interface.statistics()?) } else { report })
}

/// Reports about all interfaces.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn all(backend: &Native, counters: bool) -> Result<Vec<Report>> {
    use tunctl::{Error, TunBackend};

    let mut reports = Vec::new();
    for interface in backend.interfaces()? {
        match one(&interface, counters) {
            Ok(report) => reports.push(report),
            // Deleted since it was listed.
            Err(error) if Error::is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(reports)
}
