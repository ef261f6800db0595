// A header-only application shares these functions with the library and may use the deprecated
// hooks, which return nothing without this. The library itself does not call them.
#undef BOOST_ASIO_NO_DEPRECATED

#include <boost/asio/impl/src.hpp>
