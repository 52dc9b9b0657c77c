//! An index and its writer, and the snapshot that answers.

use std::sync::Arc;

use farmlokal_catalog::{ChangePosition, IndexRow};
use tantivy::{
    IndexReader, IndexWriter, ReloadPolicy, Searcher, TantivyError,
    directory::RamDirectory,
    indexer::{IndexWriterOptions, LogMergePolicy, NoMergePolicy},
};

use super::{
    schema::{Fields, create},
    segment::Segment,
};
use crate::analysis::{Analysis, SynonymIndex};

/// The least that a writer may have, in bytes.
pub(super) const WRITER: usize = 15_000_000;
/// What each of the [`BUILDERS`] has.
const BUILDER: usize = 30_000_000;
const BUILDERS: usize = 2;
/// What all have together.
pub(super) const BUILD: u64 = (BUILDERS * BUILDER) as u64;

/// A segment of more products is not merged: to do so would take time and memory from everybody else.
const MERGED: usize = 40_000;

/// A state of the index, as of one position.
pub(super) struct Snapshot {
    pub(super) searcher: Searcher,
    pub(super) segments: Vec<Segment>,
    pub(super) fields: Fields,
    pub(super) analysis: Analysis,
    pub(super) synonyms: Arc<SynonymIndex>,
    /// The sum of its position.
    pub(super) position: u64,
}

/// An index that is written.
pub(super) struct Live {
    directory: RamDirectory,
    fields: Fields,
    analysis: Analysis,
    synonyms: Arc<SynonymIndex>,
    writer: IndexWriter,
    reader: IndexReader,
}

impl Live {
    /// An empty index for many products at once.
    pub(super) fn new(analysis: Analysis, synonyms: Arc<SynonymIndex>) -> Result<Live, TantivyError> {
        let directory = RamDirectory::create();
        let (index, fields) = create(directory.clone(), analysis)?;
        let options = IndexWriterOptions::builder()
            .num_worker_threads(BUILDERS)
            .memory_budget_per_thread(BUILDER)
            .build();
        let writer: IndexWriter = index.writer_with_options(options)?;
        writer.set_merge_policy(Box::new(NoMergePolicy));
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Live { directory, fields, analysis, synonyms, writer, reader })
    }

    /// Bytes that the index takes, its writer left out.
    pub(super) fn bytes(&self) -> u64 {
        self.directory.total_mem_usage() as u64
    }

    /// Adds a product that the index does not have.
    pub(super) fn add(&self, row: &IndexRow) -> Result<(), TantivyError> {
        self.writer.add_document(self.fields.document(row)).map(drop)
    }

    /// Stores a product, or removes it.
    pub(super) fn replace(&self, id: u64, row: Option<&IndexRow>) -> Result<(), TantivyError> {
        self.writer.delete_term(self.fields.id_term(id));
        row.map_or(Ok(()), |row| self.add(row))
    }

    /// Makes all of it visible.
    pub(super) fn commit(&mut self, position: &ChangePosition) -> Result<Snapshot, TantivyError> {
        self.writer.commit()?;
        self.reader.reload()?;
        let searcher = self.reader.searcher();
        let segments = searcher.segment_readers().iter().map(Segment::open).collect::<Result<_, _>>()?;
        Ok(Snapshot {
            searcher,
            segments,
            fields: self.fields,
            analysis: self.analysis,
            synonyms: Arc::clone(&self.synonyms),
            position: position.sum(),
        })
    }

    /// Goes on with a writer for few products at a time.
    pub(super) fn built(self) -> Result<Live, TantivyError> {
        let index = self.writer.index().clone();
        drop(self.writer);
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(WRITER)
            .build();
        let writer: IndexWriter = index.writer_with_options(options)?;
        let mut merges = LogMergePolicy::default();
        merges.set_max_docs_before_merge(MERGED);
        // Documents that are gone cost every search a little.
        merges.set_del_docs_ratio_before_merge(0.3);
        writer.set_merge_policy(Box::new(merges));
        Ok(Live { writer, ..self })
    }
}
