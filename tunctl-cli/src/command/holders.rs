//! The processes that have interfaces open, on systems that report them.

use tunctl::{Holders, Native, NativeInterface, Result};

use super::properties::Report;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn of(interface: &NativeInterface) -> Result<Holders> {
    interface.holders()
}

/// Reports about all interfaces, in one walk through the processes.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn reports(backend: &Native) -> Result<Vec<Report>> {
    use tunctl::linux::SurveyedInterface;

    let surveyed = backend.survey()?.into_iter();
    let report = |SurveyedInterface { snapshot, holders, .. }: SurveyedInterface| {
        Report::new(snapshot.info, &snapshot.description, &snapshot.addresses, holders)
    };
    Ok(surveyed.map(report).collect())
}

/// These systems do not report holders. Their `fstat` lists which process has which node open.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn of(_: &NativeInterface) -> Result<Holders> {
    Ok(Holders::new(Vec::new(), true))
}

/// Reports about all interfaces.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn reports(backend: &Native) -> Result<Vec<Report>> {
    use tunctl::{Error, TunBackend};

    let mut reports = Vec::new();
    for interface in backend.interfaces()? {
        match Report::of(&interface) {
            Ok(report) => reports.push(report),
            // Deleted since it was listed.
            Err(error) if Error::is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(reports)
}
