//! A year of PubMed in small: a baseline, update files with everything that happens in them, and the next baseline.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use crate::citations::{article_set, gzip};

/// Number of files of a baseline.
const BASELINE: u32 = 5;
/// Number of update files.
const UPDATES: u32 = 20;
/// An update file that arrives this many nights late.
const LATE: (u32, u32) = (BASELINE + 8, 5);
/// An update file that never arrives.
const NEVER: u32 = BASELINE + 12;
/// Update files that are issued again, with other content, this many nights later.
const AGAIN: [(u32, u32); 2] = [(BASELINE + 4, 7), (BASELINE + 15, 2)];

/// A file of a year.
#[derive(Clone, Debug)]
pub struct YearFile {
    /// Its name in a mirror: `updatefiles/pubmed26n0009.xml.gz`.
    pub name: String,
    /// Where its content is kept; a file that is issued again has two.
    pub path: PathBuf,
}

/// A year of PubMed, night by night.
#[derive(Debug)]
pub struct Year {
    /// The files that arrive each night, the baseline first.
    pub nights: Vec<Vec<YearFile>>,
}

/// One citation as it is at some time.
#[derive(Clone, Copy, Debug)]
struct State {
    pmid: u32,
    version: u32,
    /// Its text; equal numbers have equal texts.
    revision: u32,
    /// Its day of revision, which may change without the text.
    day: u32,
}

impl YearFile {
    /// The titles of its citations; equal titles have equal abstracts.
    pub fn titles(&self) -> Vec<String> {
        let mut xml = String::new();
        let file = fs::File::open(&self.path).expect("the file is kept");
        flate2::read::MultiGzDecoder::new(file).read_to_string(&mut xml).expect("the file is whole");
        let titles = xml.split("<ArticleTitle>").skip(1).filter_map(|rest| rest.split_once("</ArticleTitle>"));
        titles.map(|(title, _)| title.to_owned()).collect()
    }
}

/// What happens to PubMed.
struct World {
    draw: SplitMix64,
    /// The highest PMID so far.
    last_pmid: u32,
    /// The live versions of each citation.
    live: BTreeMap<u32, BTreeMap<u32, State>>,
    day: u32,
}

impl Year {
    /// Writes the files of a year below a directory; `citations` per baseline file. With `gaps`, an update file comes late
    /// and another one never.
    pub fn write(folder: &Path, citations: u32, gaps: bool) -> Self {
        let mut world = World { draw: SplitMix64::seed_from_u64(26), last_pmid: 0, live: BTreeMap::new(), day: 0 };
        let mut nights = vec![Vec::new()];
        for number in 1..=BASELINE {
            let records: Vec<String> = (0..citations).flat_map(|_| world.publish()).collect();
            nights[0].push(keep(folder, "baseline", 26, number, 1, &records));
        }
        let last = (BASELINE + UPDATES) as usize;
        nights.resize(last - BASELINE as usize + 1, Vec::new());
        let night_of = |number: u32| (number - BASELINE) as usize;
        for number in BASELINE + 1..=BASELINE + UPDATES {
            let records = world.update(citations / 3);
            let night = if gaps && number == LATE.0 { night_of(number + LATE.1) } else { night_of(number) };
            if !gaps || number != NEVER {
                nights[night].push(keep(folder, "updatefiles", 26, number, 1, &records));
            }
            if let Some((_, later)) = AGAIN.iter().find(|(again, _)| *again == number) {
                let corrected = world.corrected(&records);
                nights[night_of(number + later)].push(keep(folder, "updatefiles", 26, number, 2, &corrected));
            }
        }
        nights.extend(world.next_year(folder));
        Self { nights }
    }

    /// The files in effect after a night: of a file that was issued again, the last issue.
    pub fn in_effect(&self, night: usize) -> Vec<&YearFile> {
        let mut files = BTreeMap::new();
        for file in self.nights[..=night].iter().flatten() {
            files.insert(&file.name, file);
        }
        files.into_values().collect()
    }

    /// Copies a file into a mirror, in place of a former issue; returns its path there.
    pub fn arrive(file: &YearFile, mirror: &Path) -> PathBuf {
        let path = mirror.join(&file.name);
        fs::create_dir_all(path.parent().expect("a file of a mirror is in a folder")).expect("a folder can be made");
        fs::copy(&file.path, &path).expect("a file can be copied");
        path
    }
}

fn keep(folder: &Path, kind: &str, year: u32, number: u32, issue: u32, records: &[String]) -> YearFile {
    let name = format!("{kind}/pubmed{year}n{number:04}.xml.gz");
    let path = folder.join(format!("issue-{issue}")).join(&name);
    fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder can be made");
    fs::write(&path, gzip(article_set(records).as_bytes())).expect("a file can be written");
    YearFile { name, path }
}

impl World {
    fn below(&mut self, bound: u32) -> u32 {
        (self.draw.next_u64() % u64::from(bound)) as u32
    }

    /// A new citation; one in forty comes with its version 2.
    fn publish(&mut self) -> Vec<String> {
        self.last_pmid += 1 + self.below(3);
        let pmid = self.last_pmid;
        let mut records = vec![self.set(State { pmid, version: 1, revision: pmid, day: self.day })];
        if self.below(40) == 0 {
            records.push(self.set(State { pmid, version: 2, revision: pmid + 1_000_000, day: self.day }));
        }
        records
    }

    fn set(&mut self, state: State) -> String {
        self.live.entry(state.pmid).or_default().insert(state.version, state);
        citation(state)
    }

    /// Any PMID so far, deleted or not.
    fn any(&mut self) -> u32 {
        1 + self.below(self.last_pmid)
    }

    /// The records of an update file.
    fn update(&mut self, records: u32) -> Vec<String> {
        self.day += 1;
        let mut made = Vec::new();
        for _ in 0..records {
            let pmid = self.any();
            // Distinct for all citations and days, so that no text is another's.
            let revision = 10_000_000 * self.day + pmid;
            let versions = self.live.get(&pmid).cloned().unwrap_or_default();
            let former = versions.get(&1).map_or(revision, |state| state.revision);
            match self.below(20) {
                0..5 => made.extend(self.publish()),
                // The same text again: only the day of revision differs.
                5..11 => made.push(self.set(State { pmid, version: 1, revision: former, day: self.day })),
                11..15 => made.push(self.set(State { pmid, version: 1, revision, day: self.day })),
                15 => made.push(self.set(State { pmid, version: 2, revision: revision + 1_000_000, day: self.day })),
                // Twice in one file: the last counts.
                16 => {
                    made.push(self.set(State { pmid, version: 1, revision, day: self.day }));
                    made.push(self.set(State { pmid, version: 1, revision: revision + 2_000_000, day: self.day }));
                }
                17 => made.push(self.delete(pmid, versions.keys().max().copied().unwrap_or(1))),
                _ => made.push(self.delete(pmid, 1)),
            }
        }
        made
    }

    fn delete(&mut self, pmid: u32, version: u32) -> String {
        if let Some(versions) = self.live.get_mut(&pmid) {
            versions.remove(&version);
        }
        format!("<DeleteCitation><PMID Version=\"{version}\">{pmid}</PMID></DeleteCitation>\n")
    }

    /// A file as it is issued again: a third of the records are gone, some are new.
    fn corrected(&mut self, records: &[String]) -> Vec<String> {
        let mut corrected: Vec<String> =
            records.iter().enumerate().filter(|(index, _)| index % 3 != 1).map(|(_, record)| record.clone()).collect();
        corrected.extend(self.publish());
        corrected
    }

    /// The next baseline, over two nights, and its first update file. It leaves out one citation in ten.
    fn next_year(&mut self, folder: &Path) -> Vec<Vec<YearFile>> {
        let kept: Vec<State> = self.live.values().filter_map(|versions| versions.values().last().copied()).collect();
        let kept: Vec<String> = kept.into_iter().filter(|_| self.below(10) > 0).map(citation).collect();
        let files: Vec<YearFile> = (1..)
            .zip(kept.chunks(kept.len().div_ceil(BASELINE as usize)))
            .map(|(number, records)| keep(folder, "baseline", 27, number, 1, records))
            .collect();
        let update = self.update(20);
        let update = keep(folder, "updatefiles", 27, BASELINE + 1, 1, &update);
        vec![files[..3].to_vec(), files[3..].to_vec(), vec![update]]
    }
}

const DISEASES: [&str; 6] = [
    "hereditary ataxia",
    "colon cancer",
    "β-thalassemia",
    "familial <i>gout</i>",
    "癌症 (cancer)",
    "Ménière’s disease",
];
const PLACES: [&str; 4] = ["in the liver", "of the heart &amp; lungs", "in 12\u{a0}patients", "at 37\u{2009}°C"];

/// The XML of a citation.
fn citation(state: State) -> String {
    let State { pmid, version, revision, day } = state;
    let mut draw = SplitMix64::seed_from_u64(u64::from(revision));
    let mut pick = |list: &[&'static str]| list[(draw.next_u64() % list.len() as u64) as usize];
    let mut sentence = || format!("{} was seen {}, case {revision}.", pick(&DISEASES), pick(&PLACES));
    let title = sentence();
    let mut text = String::new();
    for part in 0..revision % 4 {
        let label = ["", " Label=\"METHODS\"", " Label=\"RESULTS\" NlmCategory=\"RESULTS\""][part as usize % 3];
        let _ = write!(text, "<AbstractText{label}>{} {}\n  {}</AbstractText>", sentence(), sentence(), sentence());
    }
    let abstract_text = if text.is_empty() { String::new() } else { format!("<Abstract>{text}</Abstract>") };
    format!(
        "<PubmedArticle><MedlineCitation Status=\"MEDLINE\" Owner=\"NLM\"><PMID Version=\"{version}\">{pmid}</PMID>\
         <DateRevised><Year>2026</Year><Month>{:02}</Month><Day>{:02}</Day></DateRevised>\
         <Article PubModel=\"Print\"><Journal><JournalIssue CitedMedium=\"Internet\"><PubDate><Year>2026</Year></PubDate>\
         </JournalIssue><Title>Journal of Tests</Title></Journal><ArticleTitle>{title}</ArticleTitle>{abstract_text}\
         <Language>eng</Language></Article></MedlineCitation></PubmedArticle>\n",
        1 + day / 28,
        1 + day % 28,
    )
}
