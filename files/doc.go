// Package files reads the files that people name: settings, secrets, certificates, and
// what apps ship. It opens nothing that could block, decodes the encodings that text
// editors write, and says when others can read or change what should be private.
package files
