//! Writers that make every change a separate batch.

use greytrapper::db::file::PageFile;
use greytrapper::db::{ByteOrder, Engine, EngineError};

macro_rules! through {
    ($name:ident, $writer:ty) => {
        #[derive(Debug)]
        pub struct $name<F>($writer);

        impl<F: PageFile> $name<F> {
            pub fn open(file: F) -> Result<Self, EngineError> {
                <$writer>::open(file).map(Self)
            }

            pub fn create(file: F, page_size: u32) -> Result<Self, EngineError> {
                Self::create_in_order(file, page_size, ByteOrder::NATIVE)
            }

            pub fn create_in_order(
                file: F,
                page_size: u32,
                order: ByteOrder,
            ) -> Result<Self, EngineError> {
                let mut writer = <$writer>::create_in_order(file, page_size, order)?;
                writer.commit()?;
                Ok(Self(writer))
            }

            pub fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
                self.0.get(key)
            }

            pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
                self.0.put(key, value)?;
                self.0.commit()
            }

            pub fn delete(&mut self, key: &[u8]) -> Result<bool, EngineError> {
                let deleted = self.0.delete(key)?;
                self.0.commit()?;
                Ok(deleted)
            }

            #[allow(dead_code)]
            pub fn close(self) -> Result<(), EngineError> {
                Box::new(self.0).close()
            }
        }
    };
}

through!(HashWriter, greytrapper::db::hash::Writer<F>);
through!(BtreeWriter, greytrapper::db::btree::Writer<F>);
