#pragma once

#include "autoexec/event.hpp"

#include <string>

namespace autoexec::records {

/// For a person: how many records wait to be written, where, and why.
std::string queued_sentence(const UnwrittenRecords& records);

/// The same for records that nothing will write any more.
std::string lost_sentence(const UnwrittenRecords& records);

}  // namespace autoexec::records
