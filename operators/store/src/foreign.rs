//! What a place contains that is not pubtag's own.

use object_store::ObjectStore;

/// How many names a message lists.
const SHOWN: usize = 5;

/// Names what a store contains besides `ours` and what a fresh disk has: the first few, and how many more. The names of
/// directories end in `/`. `None` if it contains nothing else.
///
/// # Errors
/// The store cannot be listed.
pub async fn foreign(store: &dyn ObjectStore, ours: impl Fn(&str) -> bool) -> object_store::Result<Option<String>> {
    let list = store.list_with_delimiter(None).await?;
    let folders = list.common_prefixes.iter().map(|prefix| format!("{prefix}/"));
    let files = list.objects.iter().map(|object| object.location.to_string());
    let found: Vec<String> = folders.chain(files).filter(|name| !ours(name) && name != "lost+found/").collect();
    let more = if found.len() > SHOWN { format!(", and {} more", found.len() - SHOWN) } else { String::new() };
    let shown = found.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    Ok((!found.is_empty()).then_some(shown + &more))
}
