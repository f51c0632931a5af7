//! Marks a place as that of a snapshot, so that nothing else is ever replaced or removed there.

use object_store::path::Path;
use pubtag_schemas::{OUTPUT_MARK, SNAPSHOT_MARK};
use pubtag_store::foreign;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::manifest::{LATEST, Manifest};
use crate::place::{DataFile, Place};

/// Version of the mark's layout.
const VERSION: u32 = 1;
/// What a place may contain before it is marked: the lock, and pubtag's own directory.
const OURS: [&str; 2] = [".lock", "_pubtag/"];

/// The content of the mark.
#[derive(Debug, Serialize, Deserialize)]
struct SnapshotMark {
    version: u32,
    /// When the output was created, which tells it from any other.
    output: String,
}

/// Marks an empty place as that of the snapshots of an output, or checks that it is one. `output` tells the output from any
/// other. A snapshot from before there were marks is marked, too.
///
/// # Errors
/// The store fails, or the place is an output, belongs to another output, or contains something else.
pub async fn claim(place: &Place, output: &str) -> Result<(), Error> {
    if check_mark(place, output).await? {
        return Ok(());
    }
    let refused = |found: &str| Err(Error::Foreign { place: place.name.clone(), found: found.to_owned() });
    if place.read(&Path::from(OUTPUT_MARK)).await?.is_some() {
        return refused("an output of pubtag");
    }
    if Manifest::latest(place).await?.is_none() {
        let found = foreign(&*place.store, |name| OURS.contains(&name)).await;
        if let Some(found) = found.map_err(place.failed("list", &Path::default()))? {
            // Another attempt may have marked it meanwhile.
            return if check_mark(place, output).await? { Ok(()) } else { refused(&format!("other files ({found})")) };
        }
    }
    let mark = SnapshotMark { version: VERSION, output: output.to_owned() };
    let json = serde_json::to_vec_pretty(&mark).expect("a struct of a number and a string is valid JSON");
    match place.create(&Path::from(SNAPSHOT_MARK), json.into()).await? {
        true => Ok(()),
        // Another attempt began at the same moment.
        false => check_mark(place, output).await.map(drop),
    }
}

/// Whether a place is marked as that of a snapshot, of whatever output.
pub(crate) async fn is_marked(place: &Place) -> Result<bool, Error> {
    Ok(place.read(&Path::from(SNAPSHOT_MARK)).await?.is_some())
}

/// Whether a snapshot writes files of this name.
pub fn is_own_name(name: &str) -> bool {
    let is_number = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    name == LATEST || name.strip_suffix(".json").is_some_and(is_number) || DataFile::is_name(name)
}

/// Whether a place is marked; a mark of another output or a newer version is an error.
async fn check_mark(place: &Place, output: &str) -> Result<bool, Error> {
    let path = Path::from(SNAPSHOT_MARK);
    let Some(bytes) = place.read(&path).await? else { return Ok(false) };
    let damaged = |error: serde_json::Error| Error::Damaged {
        path: place.full_name(&path),
        snapshot: place.name.clone(),
        why: format!("is not the mark of a snapshot ({error})"),
    };
    let mark: SnapshotMark = serde_json::from_slice(&bytes).map_err(damaged)?;
    match mark {
        SnapshotMark { version, .. } if version > VERSION => {
            Err(Error::Newer { path: place.full_name(&path), found: version.into(), known: VERSION })
        }
        SnapshotMark { output: known, .. } if known != output => Err(Error::OtherOutput { place: place.name.clone() }),
        _ => Ok(true),
    }
}
