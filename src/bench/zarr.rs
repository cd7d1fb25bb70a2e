//! Series in one Zarr array with the dimensions (time, band, y, x).
//!
//! `zarrs`' own way of reading a subset waits for chunks it could have asked for long ago: with
//! 30 ms to the store it gave 2.5 patches a second where tensorstore gave 8.4. So the chunks of a
//! patch are fetched here, all at once up to the wished concurrency, and each is decoded on a
//! thread of its own as soon as it has come.

use super::patch::{Extent, Pixels, Window};
use super::spec::Series;
use crate::error::{Context as _, Error, Kind, Result};
use crate::location::Location;
use crate::meter::Meter;
use crate::store::{Stores, cause};
use crate::task::Control;
use crate::text;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::task::AbortOnDropHandle;
use zarrs::array::data_type::{UInt8DataType, UInt16DataType};
use zarrs::array::{
    Array, ArrayBytes, ArrayShardedExt as _, ArraySubset, ArrayToBytesCodecTraits as _, ChunkShapeTraits as _,
    CodecOptions,
};
use zarrs_object_store::AsyncObjectStore;

/// Bytes of one decoded chunk that is still read: metadata can claim any size.
const LARGEST_CHUNK: u64 = 2 << 30;

type Folder = PrefixStore<Arc<dyn ObjectStore>>;
type Store = AsyncObjectStore<Folder>;

/// A series whose array was found to be readable.
#[derive(Clone, Debug)]
pub(super) struct ZarrSeries {
    location: Location,
    pub(super) extent: Extent,
    pub(super) layout: String,
}

/// Which dimension of the array is which; `None` where the array has no such dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Axes {
    time: Option<usize>,
    band: Option<usize>,
    y: usize,
    x: usize,
}

/// Finds the array, and how large it is.
pub(super) async fn open(series: &Series, stores: &Stores, control: &Control) -> Result<ZarrSeries> {
    let location = match series.array.as_deref().unwrap_or("data") {
        "" => series.location.clone(),
        name => series.location.as_container().child(name.trim_matches('/')),
    };
    control.race(probe(&location, stores, &control.meter)).await.context(|| format!("opening {location}"))?;
    let (array, _) = control.race(open_array(&location, stores, &control.meter)).await?;
    let (extent, _) = shape(&array).context(|| format!("reading {location}"))?;
    Ok(ZarrSeries { extent, layout: layout(&array), location })
}

/// Asks for the metadata once by ourselves: `zarrs` does not tell a denied key from a missing one.
async fn probe(location: &Location, stores: &Stores, meter: &Meter) -> Result<()> {
    let handle = stores.open(location, meter).await?;
    let mut missing = None;
    for name in ["zarr.json", ".zarray"] {
        match handle.read_head(&location.as_container().child(name), 64 << 10).await {
            Ok(_) => return Ok(()),
            Err(err) if err.kind() == Kind::NotFound => missing = Some(err),
            Err(err) => return Err(err),
        }
    }
    let error = Error::new(Kind::NotFound, "there is no Zarr array (neither zarr.json nor .zarray)");
    Err(match missing {
        Some(err) => error.with_source(err),
        None => error,
    })
}

/// Opens the array; gives the folder that it lies in, too.
async fn open_array(location: &Location, stores: &Stores, meter: &Meter) -> Result<(Array<Store>, Folder)> {
    let handle = stores.open(location, meter).await?;
    let prefix = handle.path(location.key().trim_end_matches('/'));
    let folder = PrefixStore::new(handle.object_store(), prefix);
    let array = Array::async_open(Arc::new(AsyncObjectStore::new(folder.clone())), "/").await.map_err(|err| {
        Error::invalid(format!("opening {location}: this Zarr array cannot be read: {err}")).with_source(err)
    })?;
    // The chunks are decoded side by side already: threads within a chunk would only get in each other's way.
    Ok((array.with_codec_options(CodecOptions::default().with_concurrent_target(1)), folder))
}

fn failed(what: &str, err: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(Kind::Failed, format!("{what}: {err}")).with_source(err)
}

fn layout(array: &Array<Store>) -> String {
    let sides = |shape: &[u64]| shape.iter().map(u64::to_string).collect::<Vec<_>>().join(" x ");
    let origin = vec![0; array.dimensionality()];
    let Ok(chunk) = array.chunk_shape(&origin) else { return "no chunks".to_owned() };
    let chunk = sides(&chunk.to_array_shape());
    match array.subchunk_shape() {
        Some(inner) => format!("chunks {} in shards {chunk}", sides(&inner.to_array_shape())),
        None => format!("chunks {chunk}"),
    }
}

/// The extent of an array, and its axes.
fn shape(array: &Array<Store>) -> Result<(Extent, Axes)> {
    item_size(array)?;
    let names: Option<Vec<String>> =
        array.dimension_names().as_ref().and_then(|names| names.iter().map(Clone::clone).collect());
    let axes = axes(names.as_deref(), array.dimensionality())?;
    let size = |axis: Option<usize>| axis.and_then(|i| array.shape().get(i).copied()).unwrap_or(1);
    let extent = Extent {
        dates: size(axes.time),
        bands: size(axes.band),
        height: size(Some(axes.y)),
        width: size(Some(axes.x)),
    };
    if [extent.dates, extent.bands, extent.height, extent.width].contains(&0) {
        return Err(Error::invalid("the array is empty"));
    }
    refuse_giant_chunks(array)?;
    Ok((extent, axes))
}

/// The chunk, or the chunk within a shard, is what must be decoded as a whole.
fn refuse_giant_chunks(array: &Array<Store>) -> Result<()> {
    let chunk = match array.subchunk_shape() {
        Some(inner) => inner,
        None => array.chunk_shape(&vec![0; array.dimensionality()]).map_err(|err| failed("finding the chunks", err))?,
    };
    let bytes = chunk.iter().fold(item_size(array)? as u64, |n, side| n.saturating_mul(side.get()));
    if bytes > LARGEST_CHUNK {
        let size = text::bytes(bytes);
        return Err(Error::new(Kind::Limit, format!("one chunk of it takes {size} of memory")));
    }
    Ok(())
}

/// Bytes of a value: 8 and 16 bits without sign are what scenes hold.
fn item_size(array: &Array<Store>) -> Result<usize> {
    let data_type = array.data_type();
    if data_type.is::<UInt16DataType>() {
        Ok(2)
    } else if data_type.is::<UInt8DataType>() {
        Ok(1)
    } else {
        Err(Error::unsupported(format!("the array holds {data_type:?}; benchmarks read uint8 and uint16")))
    }
}

/// The axes by their names; without names, 4 dimensions are (time, band, y, x), 3 (time, y, x), 2 (y, x).
fn axes(names: Option<&[String]>, dimensions: usize) -> Result<Axes> {
    let known = |names: &[String]| -> Option<Axes> {
        let at = |wanted: &[&str]| names.iter().position(|n| wanted.contains(&n.to_ascii_lowercase().as_str()));
        let (time, band) = (at(&["time", "t"]), at(&["band", "bands", "channel"]));
        let (y, x) = (at(&["y", "lat", "latitude"])?, at(&["x", "lon", "longitude"])?);
        let order: Vec<usize> = [time, band, Some(y), Some(x)].into_iter().flatten().collect();
        let in_order = order.iter().copied().eq(0..names.len());
        in_order.then_some(Axes { time, band, y, x })
    };
    let found = match (names, dimensions) {
        (Some(names), _) => known(names),
        (None, 4) => Some(Axes { time: Some(0), band: Some(1), y: 2, x: 3 }),
        (None, 3) => Some(Axes { time: Some(0), band: None, y: 1, x: 2 }),
        (None, 2) => Some(Axes { time: None, band: None, y: 0, x: 1 }),
        (None, _) => None,
    };
    found.ok_or_else(|| {
        let are = names.map_or_else(|| format!("{dimensions} without names"), |names| names.join(", "));
        Error::unsupported(format!("the array's dimensions are {are}; benchmarks read time, band, y, x in this order"))
    })
}

/// What the reads of the chunks of one patch share.
struct Assembly {
    array: Array<Store>,
    store: Folder,
    axes: Axes,
    item: usize,
    /// The patch, in the array's own dimensions.
    subset: ArraySubset,
    bands: usize,
    window: Window,
    /// One for each date, so that chunks being put in place rarely wait for each other.
    planes: Vec<Mutex<Vec<u16>>>,
}

impl ZarrSeries {
    /// The name of a date for a person: its position.
    pub(super) fn date_name(&self, date: usize) -> String {
        format!("{} at time {date}", self.location)
    }

    /// Opens the array and reads the window of all dates and bands; gives the time spent on opening, too.
    pub(super) async fn read(
        &self,
        window: Window,
        stores: &Stores,
        meter: &Meter,
        control: &Control,
        concurrency: usize,
    ) -> Result<(Pixels, Duration)> {
        let started = Instant::now();
        let (array, folder) = control.race(open_array(&self.location, stores, meter)).await?;
        let opening = started.elapsed();
        let (extent, axes) = shape(&array)?;
        if extent != self.extent {
            return Err(Error::new(Kind::Changed, format!("{} has changed its shape meanwhile", self.location)));
        }
        let assembly = Arc::new(Assembly::new(array, folder, axes, extent, window)?);
        control
            .race(assembly.clone().fill(control, concurrency))
            .await
            .context(|| format!("reading {}", self.location))?;
        let assembly = Arc::into_inner(assembly)
            .ok_or_else(|| Error::new(Kind::Failed, "a chunk was still being read after the patch was done"))?;
        let dates =
            assembly.planes.into_iter().map(|p| p.into_inner().unwrap_or_else(PoisonError::into_inner)).collect();
        Ok((Pixels { dates, window }, opening))
    }
}

impl Assembly {
    fn new(array: Array<Store>, store: Folder, axes: Axes, extent: Extent, window: Window) -> Result<Self> {
        let len = extent.plane_len(window)?;
        let mut start = vec![0; array.dimensionality()];
        let mut shape = array.shape().to_vec();
        (start[axes.y], start[axes.x]) = (window.y, window.x);
        (shape[axes.y], shape[axes.x]) = (window.h, window.w);
        let subset = ArraySubset::new_with_start_shape(start, shape).map_err(|err| failed("placing the patch", err))?;
        Ok(Self {
            item: item_size(&array)?,
            array,
            store,
            axes,
            subset,
            bands: extent.bands as usize,
            window,
            planes: (0..extent.dates).map(|_| Mutex::new(vec![0; len])).collect(),
        })
    }

    /// Reads the chunks that the patch touches, `concurrency` at once.
    async fn fill(self: Arc<Self>, control: &Control, concurrency: usize) -> Result<()> {
        let chunks = self
            .array
            .chunks_in_array_subset(&self.subset)
            .map_err(|err| failed("finding the chunks", err))?
            .ok_or_else(|| Error::invalid("the array's chunk grid does not cover it"))?;
        let reads = chunks.indices().into_iter().map(|index| {
            let (this, control) = (self.clone(), control.clone());
            async move { this.read_chunk(index.to_vec(), &control).await }
        });
        futures::stream::iter(reads).buffer_unordered(concurrency).try_collect::<()>().await
    }

    async fn read_chunk(self: Arc<Self>, index: Vec<u64>, control: &Control) -> Result<()> {
        control.check()?;
        let chunk = self.array.chunk_subset(&index).map_err(|err| failed("finding a chunk", err))?;
        let part = chunk.overlap(&self.subset).map_err(|err| failed("placing a chunk", err))?;
        if self.array.is_sharded() {
            return self.read_shard(index, &chunk, part).await;
        }
        let encoded = self.fetch(&index).await?;
        control
            .blocking(move |control| {
                control.check()?;
                let Some(encoded) = encoded else {
                    self.place_fill(&part);
                    return Ok(());
                };
                let shape = self.array.chunk_shape(&index).map_err(|err| failed("the shape of a chunk", err))?;
                let decoded = self
                    .array
                    .codecs()
                    .decode(
                        ArrayBytes::new_flen(encoded.as_ref()).into_fixed().map_err(|err| failed("a chunk", err))?,
                        &shape,
                        self.array.data_type(),
                        self.array.fill_value(),
                        &CodecOptions::default().with_concurrent_target(1),
                    )
                    .and_then(|bytes| Ok(bytes.into_fixed()?))
                    .map_err(|err| {
                        Error::invalid(format!("chunk {index:?} cannot be decoded: {err}")).with_source(err)
                    })?;
                let origin = part.relative_to(chunk.start()).map_err(|err| failed("placing a chunk", err))?;
                self.place(&decoded, &shape.to_array_shape(), origin.start(), &part)
            })
            .await
    }

    /// The bytes of a chunk as they are stored; `None` for one that is not, which holds fill values.
    ///
    /// Not by `zarrs`, which keeps only the text of an error: a refused read must stay a refused read.
    async fn fetch(&self, index: &[u64]) -> Result<Option<Bytes>> {
        let key = Path::from(self.array.chunk_key(index).as_str());
        let read = async { self.store.get(&key).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(err) => Err(cause(&err).unwrap_or_else(|| failed(&format!("chunk {key}"), err))),
        }
    }

    /// Of a shard only its index and the inner chunks that the patch touches are read.
    async fn read_shard(self: Arc<Self>, index: Vec<u64>, chunk: &ArraySubset, part: ArraySubset) -> Result<()> {
        let inner = part.relative_to(chunk.start()).map_err(|err| failed("placing a chunk", err))?;
        // A task of its own, so that shards are decoded on all threads; aborted with the read.
        let task = tokio::spawn(async move {
            let bytes = self
                .array
                .async_retrieve_chunk_subset::<ArrayBytes>(&index, &inner)
                .await
                .and_then(|bytes| Ok(bytes.into_fixed().map_err(zarrs::array::CodecError::from)?))
                .map_err(|err| failed(&format!("shard {index:?}"), err))?;
            let origin = vec![0; part.dimensionality()];
            self.place(&bytes, part.shape(), &origin, &part)
        });
        AbortOnDropHandle::new(task).await.map_err(|err| failed("a reading task", err))?
    }

    fn place_fill(&self, part: &ArraySubset) {
        let fill = value(self.array.fill_value().as_ne_bytes());
        self.rows(part, |_, row| row.fill(fill));
    }

    /// Puts the values of `part` in place, from the decoded bytes of a chunk of `shape` in which
    /// the part begins at `origin`.
    fn place(&self, bytes: &[u8], shape: &[u64], origin: &[u64], part: &ArraySubset) -> Result<()> {
        let mut whole = true;
        self.rows(part, |offset, row| {
            // The position of the row's first value in the chunk, by Horner's rule over its dimensions.
            let at = shape.iter().zip(origin).zip(offset).fold(0, |at, ((&n, &o), &i)| at * n + o + i) as usize;
            match bytes.get(at * self.item..(at + row.len()) * self.item) {
                Some(from) if self.item == 1 => row.iter_mut().zip(from).for_each(|(to, &b)| *to = u16::from(b)),
                Some(from) => row.iter_mut().zip(from.chunks_exact(2)).for_each(|(to, pair)| *to = value(pair)),
                None => whole = false,
            }
        });
        if whole { Ok(()) } else { Err(Error::invalid("a chunk is shorter than its shape")) }
    }

    /// Calls `f` for each row of `part` with its offset within the part and its place in the patch.
    fn rows(&self, part: &ArraySubset, mut f: impl FnMut(&[u64], &mut [u16])) {
        let of = |axis: Option<usize>, values: &[u64], default: u64| axis.map_or(default, |i| values[i]);
        let (start, shape) = (part.start(), part.shape());
        let (width, height) = (self.window.w as usize, self.window.h as usize);
        let left = start[self.axes.x].saturating_sub(self.window.x) as usize;
        let top = start[self.axes.y].saturating_sub(self.window.y) as usize;
        let (first_date, first_band) = (of(self.axes.time, start, 0), of(self.axes.band, start, 0));
        let mut offset = vec![0; part.dimensionality()];
        for date in 0..of(self.axes.time, shape, 1) {
            let Some(plane) = self.planes.get((first_date + date) as usize) else { continue };
            let mut plane = plane.lock().unwrap_or_else(PoisonError::into_inner);
            for band in 0..of(self.axes.band, shape, 1) {
                for y in 0..shape[self.axes.y] {
                    if let Some(i) = self.axes.time {
                        offset[i] = date;
                    }
                    if let Some(i) = self.axes.band {
                        offset[i] = band;
                    }
                    offset[self.axes.y] = y;
                    let line = (first_band + band) as usize * height + top + y as usize;
                    debug_assert!(line < self.bands * height, "the part lies within the patch");
                    let at = line * width + left;
                    if let Some(row) = plane.get_mut(at..at + shape[self.axes.x] as usize) {
                        f(&offset, row);
                    }
                }
            }
        }
    }
}

/// A value from its bytes in this machine's order, of which there are one or two.
fn value(bytes: &[u8]) -> u16 {
    match *bytes {
        [one] => u16::from(one),
        [a, b] => u16::from_ne_bytes([a, b]),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_found_by_name_or_by_number() {
        let named = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            axes(Some(&names), names.len())
        };
        let all = Axes { time: Some(0), band: Some(1), y: 2, x: 3 };
        assert_eq!(named(&["time", "band", "y", "x"]).expect("named"), all);
        assert_eq!(axes(None, 4).expect("four"), all);
        assert_eq!(named(&["band", "Y", "X"]).expect("named").time, None);
        let err = named(&["y", "x", "time"]).expect_err("another order").to_string();
        assert!(err.contains("y, x, time"), "{err}");
        assert!(axes(None, 5).is_err());
    }
}
