//! BioC documents as trees, shared by BioC XML and BioC JSON.
//!
//! BioC (Comeau et al. 2013, <https://bioc.sourceforge.net>): a document has passages; a passage has a text with its offset
//! in the document, or sentences that do; annotations have document-wide locations. Offsets count code points in nearly
//! every file and bytes in a few; the wording of the annotations tells which.

mod assemble;
mod disassemble;
mod tree;

pub(crate) use assemble::assemble;
pub(crate) use disassemble::disassemble;
pub(crate) use tree::{BiocAnnotation, BiocDocument, BiocLocation, BiocPassage, BiocSentence, Infons};
