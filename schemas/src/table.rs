//! Table declarations: one list of columns defines the row type, the Arrow schema, the batches and the documentation.
//!
//! Every column, list item and struct member has a `PARQUET:field_id` that never changes, so that table formats can track
//! columns by id. Types are limited to those that every reader supports: signed integers, microseconds in UTC, UTF-8.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Float32Array, Int32Array, Int64Array, ListArray, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;

use crate::date::{Date, days_since_epoch};

/// Metadata key from which Parquet writers take a column's id.
pub const FIELD_ID: &str = "PARQUET:field_id";

/// Ids of list items and struct members start at their column's id times this.
const NESTED_ID_BASE: i32 = 100;

/// A table of the output.
pub trait Table: Sized {
    /// The directory of the table's files.
    const NAME: &'static str;
    /// What a row is.
    const DOC: &'static str;

    /// The columns in order, with their documentation.
    fn columns() -> Vec<Column>;

    /// Converts rows into one record batch of [`schema`](Self::schema).
    ///
    /// # Errors
    /// Only if a column does not match its declared type, which the tests of this crate rule out.
    fn to_batch(rows: &[Self]) -> Result<RecordBatch, ArrowError>;

    /// Approximate size of the row in memory, in bytes; used to bound row groups.
    fn heap_bytes(&self) -> usize;

    /// The table's Arrow schema.
    fn schema() -> SchemaRef {
        Arc::new(Schema::new(Self::columns().into_iter().map(|column| column.field).collect::<Vec<_>>()))
    }
}

/// One column of a [`Table`]: its Arrow field and its meaning.
#[derive(Clone, Debug)]
pub struct Column {
    /// Name, type, nullability and id.
    pub field: Field,
    /// Its documentation.
    pub doc: &'static str,
}

impl Column {
    /// Declares a column of the Rust type `T`.
    pub fn new<T: Cell>(id: i32, name: &str, doc: &'static str) -> Self {
        // A column named by a Rust keyword is declared as a raw identifier.
        Self { field: field::<T>(id, name.trim_start_matches("r#")), doc }
    }
}

fn field<T: Cell>(id: i32, name: &str) -> Field {
    let metadata = HashMap::from([(FIELD_ID.to_owned(), id.to_string())]);
    Field::new(name, T::data_type(id), T::NULLABLE).with_metadata(metadata)
}

/// A Rust type that a column can hold; `Option` of it makes the column nullable.
pub trait Cell: Sized {
    /// Whether the column may be null.
    const NULLABLE: bool = false;

    /// The column's Arrow type; inner ids are derived from the column's `id`.
    fn data_type(id: i32) -> DataType;

    /// An array of values, null for `None`.
    fn array<'a>(id: i32, values: impl Iterator<Item = Option<&'a Self>>) -> ArrayRef
    where
        Self: 'a;

    /// Bytes of the value on the heap.
    fn heap_bytes(&self) -> usize {
        0
    }
}

impl<T: Cell> Cell for Option<T> {
    const NULLABLE: bool = true;

    fn data_type(id: i32) -> DataType {
        T::data_type(id)
    }

    fn array<'a>(id: i32, values: impl Iterator<Item = Option<&'a Self>>) -> ArrayRef
    where
        Self: 'a,
    {
        T::array(id, values.map(|value| value.and_then(Option::as_ref)))
    }

    fn heap_bytes(&self) -> usize {
        self.as_ref().map_or(0, T::heap_bytes)
    }
}

/// A moment in microseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micros(pub i64);

macro_rules! scalar {
    ($rust:ty, $data_type:expr, $array:expr) => {
        scalar!($rust, $data_type, $array, |_value| 0);
    };
    ($rust:ty, $data_type:expr, $array:expr, |$value:ident| $heap:expr) => {
        impl Cell for $rust {
            fn data_type(_: i32) -> DataType {
                $data_type
            }

            fn array<'a>(_: i32, values: impl Iterator<Item = Option<&'a Self>>) -> ArrayRef {
                Arc::new($array(values))
            }

            fn heap_bytes(&self) -> usize {
                let $value = self;
                $heap
            }
        }
    };
}

scalar!(bool, DataType::Boolean, |values| BooleanArray::from_iter(Iterator::map(values, Option::<&bool>::copied)));
scalar!(i32, DataType::Int32, |values| Int32Array::from_iter(Iterator::map(values, Option::<&i32>::copied)));
scalar!(i64, DataType::Int64, |values| Int64Array::from_iter(Iterator::map(values, Option::<&i64>::copied)));
scalar!(f32, DataType::Float32, |values| Float32Array::from_iter(Iterator::map(values, Option::<&f32>::copied)));
scalar!(String, DataType::Utf8, StringArray::from_iter, |text| text.len());
scalar!(Vec<u8>, DataType::Binary, BinaryArray::from_iter, |bytes| bytes.len());
scalar!(Date, DataType::Date32, |values| {
    Date32Array::from_iter(Iterator::map(values, |day: Option<&Date>| day.copied().map(days_since_epoch)))
});
scalar!(Micros, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), |values| {
    TimestampMicrosecondArray::from_iter(Iterator::map(values, |at: Option<&Micros>| at.map(|m| m.0)))
        .with_timezone("UTC")
});

/// The item of a list column; a separate trait so that `Vec<u8>` can be binary.
pub trait Item: Cell {}

impl Item for String {}

impl<T: Item> Cell for Vec<T> {
    fn data_type(id: i32) -> DataType {
        DataType::List(Arc::new(field::<T>(nested_id(id, 0), "element")))
    }

    fn array<'a>(id: i32, values: impl Iterator<Item = Option<&'a Self>>) -> ArrayRef
    where
        Self: 'a,
    {
        let lists: Vec<Option<&Self>> = values.collect();
        let offsets = OffsetBuffer::from_lengths(lists.iter().map(|list| list.map_or(0, Vec::len)));
        let nulls = NullBuffer::from_iter(lists.iter().map(Option::is_some));
        let items = T::array(nested_id(id, 0), lists.iter().copied().flatten().flatten().map(Some));
        let element = Arc::new(field::<T>(nested_id(id, 0), "element"));
        Arc::new(ListArray::new(element, offsets, items, (nulls.null_count() > 0).then_some(nulls)))
    }

    fn heap_bytes(&self) -> usize {
        self.iter().map(|item| size_of::<T>() + item.heap_bytes()).sum()
    }
}

/// A value for a 32-bit column.
///
/// # Errors
/// The column cannot hold it.
pub fn int(value: impl TryInto<i32>, column: &str) -> Result<i32, String> {
    value.try_into().map_err(|_| too_large(column))
}

/// Says that a column cannot hold a value.
pub fn too_large(column: &str) -> String {
    format!("{column} is larger than its column can hold")
}

/// The id of the `index`-th part inside the column `id`.
pub(crate) fn nested_id(id: i32, index: usize) -> i32 {
    id * NESTED_ID_BASE + i32::try_from(index).unwrap_or(i32::MAX)
}

/// A member of a struct column.
pub(crate) fn member<T: Cell>(id: i32, index: usize, name: &str) -> Field {
    field::<T>(nested_id(id, index), name)
}

/// Declares a [`Table`]: its row type and everything derived from its columns.
///
/// A line is `id => name: type, "doc"`. Ids are never reused; new columns are added at the end.
macro_rules! table {
    ($(#[$meta:meta])* $row:ident, $name:literal, $doc:literal, { $($id:literal => $column:ident: $cell:ty, $text:literal;)+ }) => {
        $(#[$meta])*
        #[doc = $doc]
        #[derive(Clone, Debug, PartialEq)]
        pub struct $row {
            $(#[doc = $text] pub $column: $cell,)+
        }

        impl $crate::table::Table for $row {
            const NAME: &'static str = $name;
            const DOC: &'static str = $doc;

            fn columns() -> Vec<$crate::table::Column> {
                vec![$($crate::table::Column::new::<$cell>($id, stringify!($column), $text)),+]
            }

            fn to_batch(rows: &[Self]) -> Result<arrow::array::RecordBatch, arrow::error::ArrowError> {
                let columns = vec![$(<$cell as $crate::table::Cell>::array($id, rows.iter().map(|row| Some(&row.$column)))),+];
                arrow::array::RecordBatch::try_new(Self::schema(), columns)
            }

            fn heap_bytes(&self) -> usize {
                size_of::<Self>() $(+ $crate::table::Cell::heap_bytes(&self.$column))+
            }
        }
    };
}
pub(crate) use table;

/// The documentation of a table in Markdown, one row per column.
pub fn markdown<T: Table>() -> String {
    columns_markdown(T::NAME, T::DOC, T::columns())
}

/// The documentation of some columns.
pub(crate) fn columns_markdown(name: &str, doc: &str, columns: Vec<Column>) -> String {
    let mut page = format!("## `{name}`\n\n{doc}\n\n| id | column | type | null | meaning |\n|---|---|---|---|---|\n");
    for Column { field, doc } in columns {
        let id = field.metadata().get(FIELD_ID).map_or("", String::as_str);
        let null = if field.is_nullable() { "yes" } else { "no" };
        page.push_str(&format!("| {id} | `{}` | {} | {null} | {doc} |\n", field.name(), type_name(field.data_type())));
    }
    page
}

/// A type's name in SQL terms.
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::List(item) => format!("list<{}>", type_name(item.data_type())),
        DataType::Struct(members) => {
            let members: Vec<_> =
                members.iter().map(|m| format!("{}: {}", m.name(), type_name(m.data_type()))).collect();
            format!("struct<{}>", members.join(", "))
        }
        DataType::Timestamp(..) => "timestamp[us, UTC]".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use arrow::array::{Array, AsArray};

    use super::*;
    use crate::tables::{AnnotationRow, DocumentRow, RejectRow};

    fn ids(fields: &[&Field], found: &mut Vec<i32>) {
        for field in fields {
            found.push(field.metadata()[FIELD_ID].parse().expect("a field id is a number"));
            match field.data_type() {
                DataType::List(item) => ids(&[item], found),
                DataType::Struct(members) => ids(&members.iter().map(AsRef::as_ref).collect::<Vec<_>>(), found),
                _ => {}
            }
        }
    }

    fn check_ids<T: Table>() {
        let schema = T::schema();
        let mut found = Vec::new();
        ids(&schema.fields().iter().map(AsRef::as_ref).collect::<Vec<_>>(), &mut found);
        assert_eq!(found.iter().collect::<HashSet<_>>().len(), found.len(), "{}: field ids repeat", T::NAME);
        assert!(T::to_batch(&[]).is_ok_and(|batch| batch.schema() == schema), "{}: an empty batch", T::NAME);
    }

    #[test]
    fn every_field_has_a_unique_id() {
        check_ids::<AnnotationRow>();
        check_ids::<DocumentRow>();
        check_ids::<RejectRow>();
    }

    #[test]
    fn a_list_may_be_null_empty_or_full() {
        let lists = [None, Some(vec![]), Some(vec!["D1".to_owned(), "D2".to_owned()])];
        let array = Option::<Vec<String>>::array(13, lists.iter().map(Some));
        let list = array.as_list::<i32>();
        assert_eq!((list.len(), list.null_count()), (3, 1));
        assert!(list.is_null(0) && list.value(1).is_empty());
        assert_eq!(list.value(2).as_string::<i32>().value(1), "D2");
    }
}
