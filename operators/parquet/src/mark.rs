//! Turns an empty directory into an output, or checks that it is one.

use object_store::path::Path;
use object_store::{PutMode, UpdateVersion};
use pubtag_schemas::SCHEMA_VERSION;
use pubtag_store::{foreign, is_unsupported};
use serde::{Deserialize, Serialize};

use crate::objects::{Objects, parse};
use crate::{Error, layout};

/// The content of `output.json`.
#[derive(Debug, Serialize, Deserialize)]
struct OutputMark {
    schema_version: u32,
    created: String,
}

/// Marks an empty directory as an output, or checks that it is one.
pub(crate) async fn mark(objects: &Objects) -> Result<(), Error> {
    let path = Path::from(layout::OUTPUT);
    if let Some((bytes, _)) = objects.read(&path).await? {
        return check_mark(objects, &bytes);
    }
    if let Err(foreign) = check_empty(objects).await {
        // Another run may have begun between the two checks.
        return objects.read(&path).await?.map_or(Err(foreign), |(bytes, _)| check_mark(objects, &bytes));
    }
    probe(objects).await?;
    let mark = OutputMark { schema_version: SCHEMA_VERSION, created: jiff::Timestamp::now().to_string() };
    let json = serde_json::to_vec_pretty(&mark).expect("a struct of a number and a string is valid JSON");
    let put = objects.store().put_opts(&path, json.into(), PutMode::Create.into()).await;
    let Err(error) = put else { return Ok(()) };
    // Another run began at the same moment: the mark exists, or its sweep has removed our half-written one.
    match (objects.read(&path).await?, error) {
        (Some((bytes, _)), _) => check_mark(objects, &bytes),
        (None, object_store::Error::AlreadyExists { .. }) => Ok(()),
        (None, error) => Err(objects.failed("write", &path)(error)),
    }
}

/// Whether a place is an output; one of a newer version is an error.
pub(crate) async fn is_output(objects: &Objects) -> Result<bool, Error> {
    match objects.read(&Path::from(layout::OUTPUT)).await? {
        Some((bytes, _)) => check_mark(objects, &bytes).map(|()| true),
        None => Ok(false),
    }
}

/// Checks that a place is an output.
pub(crate) async fn check_output(objects: &Objects) -> Result<(), Error> {
    if is_output(objects).await? { Ok(()) } else { Err(Error::NotAnOutput { path: objects.name().to_owned() }) }
}

/// Checks that an object store refuses to create what exists and to replace another version: commits rely on both. An
/// output that is marked has been checked.
async fn probe(objects: &Objects) -> Result<(), Error> {
    if objects.is_locked() {
        return Ok(());
    }
    let path = Path::from(layout::PROBE);
    let create = || objects.store().put_opts(&path, "{}".into(), PutMode::Create.into());
    let unconditional = || Error::Unconditional { output: objects.name().to_owned() };
    let refused = |error| match is_unsupported(&error) {
        true => unconditional(),
        false => objects.failed("write", &path)(error),
    };
    match create().await {
        Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => {}
        Err(error) => return Err(refused(error)),
    }
    match create().await {
        Err(object_store::Error::AlreadyExists { .. }) => {}
        Ok(_) => return Err(unconditional()),
        Err(error) => return Err(refused(error)),
    }
    // Nor may it replace what is not the version that was read. How it refuses does not matter.
    let other =
        UpdateVersion { e_tag: Some("\"ffffffffffffffffffffffffffffffff\"".to_owned()), version: Some("1".to_owned()) };
    match objects.store().put_opts(&path, "{}".into(), PutMode::Update(other).into()).await {
        Ok(_) => Err(unconditional()),
        Err(_) => Ok(()),
    }
}

fn check_mark(objects: &Objects, bytes: &[u8]) -> Result<(), Error> {
    let name = || objects.full_name(&Path::from(layout::OUTPUT));
    parse::<OutputMark>(bytes, "schema_version", SCHEMA_VERSION, name).map(drop)
}

/// Refuses a directory that contains anything but `_pubtag` (another run is just beginning) and what a fresh disk has.
async fn check_empty(objects: &Objects) -> Result<(), Error> {
    let own = format!("{}/", layout::OWN);
    let found = foreign(&**objects.store(), |name| name == own).await;
    match found.map_err(objects.failed("list", &Path::default()))? {
        None => Ok(()),
        Some(found) => Err(Error::Foreign { output: objects.name().to_owned(), found }),
    }
}

/// When an output was created, which tells it from any other.
pub(crate) async fn created(objects: &Objects) -> Result<String, Error> {
    let path = Path::from(layout::OUTPUT);
    let Some((bytes, _)) = objects.read(&path).await? else {
        return Err(Error::NotAnOutput { path: objects.name().to_owned() });
    };
    parse::<OutputMark>(&bytes, "schema_version", SCHEMA_VERSION, || objects.full_name(&path)).map(|mark| mark.created)
}
