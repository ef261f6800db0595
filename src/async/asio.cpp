// An application that uses Asio header-only shares these functions with us, and expects those of
// the deprecated hooks to work: without this they return nothing. Our own sources never call them.
#undef BOOST_ASIO_NO_DEPRECATED

#include <boost/asio/impl/src.hpp>
