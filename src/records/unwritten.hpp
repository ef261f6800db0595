#pragma once

#include "autoexec/event.hpp"

#include <string>

namespace autoexec::records {

/// A message: how many records wait to be written, where, and why.
std::string queued_sentence(const UnwrittenRecords& records);

/// The same for lost records.
std::string lost_sentence(const UnwrittenRecords& records);

}  // namespace autoexec::records
