//! Turns an empty directory into an output, or checks that it is one.

use std::fs::{self, File};
use std::io;

use object_store::PutMode;
use object_store::path::Path;
use pubtag_schemas::SCHEMA_VERSION;
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
pub(crate) async fn claim(objects: &Objects) -> Result<(), Error> {
    let path = Path::from(layout::OUTPUT);
    if let Some((bytes, _)) = objects.read(&path).await? {
        return check_mark(objects, &bytes);
    }
    if let Err(foreign) = check_empty(objects).await {
        // Another run may have begun between the two checks.
        return objects.read(&path).await?.map_or(Err(foreign), |(bytes, _)| check_mark(objects, &bytes));
    }
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

fn check_mark(objects: &Objects, bytes: &[u8]) -> Result<(), Error> {
    let name = || objects.full_name(&Path::from(layout::OUTPUT));
    parse::<OutputMark>(bytes, "schema_version", SCHEMA_VERSION, name).map(drop)
}

/// Refuses a directory that contains anything but `_pubtag` (another run is just beginning) and what a fresh disk has.
async fn check_empty(objects: &Objects) -> Result<(), Error> {
    const SHOWN: usize = 5;
    let list = objects.store().list_with_delimiter(None).await;
    let list = list.map_err(objects.failed("list", &Path::default()))?;
    let folders = list.common_prefixes.iter().map(|prefix| format!("{prefix}/"));
    let files = list.objects.iter().map(|object| object.location.to_string());
    let ours = [format!("{}/", layout::OWN), "lost+found/".to_owned()];
    let found: Vec<String> = folders.chain(files).filter(|name| !ours.contains(name)).collect();
    if found.is_empty() {
        return Ok(());
    }
    let more = if found.len() > SHOWN { format!(", and {} more", found.len() - SHOWN) } else { String::new() };
    let shown = found.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    Err(Error::Foreign { output: objects.name().to_owned(), found: shown + &more })
}

/// Creates a directory that survives a power cut: the entry of each new directory is flushed with its parent.
pub(crate) fn create_durably(folder: &std::path::Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_durably(parent)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !folder.is_dir() => return Err(error),
        _ => {}
    }
    if cfg!(unix) { File::open(parent.unwrap_or(std::path::Path::new(".")))?.sync_all() } else { Ok(()) }
}
