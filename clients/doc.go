// Package clients holds tests that other people's clients work with Pinflow unchanged: what speaks Kafka's protocol, what posts
// over HTTP as to the original's API or to the Kafka REST proxy, and what reads the lake. They drive the real binary. docs/CLIENTS.md
// tells users what is tested, and its examples are run here.
//
// The Python ones are scripts below testdata that answer in JSON, which the tests compare with what they know by other ways.
// install.sh makes the virtual environment that they need.
package clients
