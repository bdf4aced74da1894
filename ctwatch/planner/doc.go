// Package planner keeps the plans of all apps current, and tells of what changes in
// them.
//
// Whenever something becomes known that plans rest on (a certificate, a look at a
// server, an approval, a released version), and once a minute besides, since time
// alone makes certificates end, it
//
//  1. settles where each key stands in its life,
//  2. plans for each host of each app,
//  3. tells of what came to be: an app that is, or will be, broken (pin.missing), a
//     key to ship (pin.candidate), a certificate that ends (certificate.expiring),
//  4. asks for a look at the servers that a new certificate may soon be served by.
//
// What holds on is told once. The rules are in package pins; here is when, and of
// what.
package planner
