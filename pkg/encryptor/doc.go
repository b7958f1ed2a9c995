// Package encryptor seals a stream for the holders of RSA keys, and opens it
// again. It reads and writes the dbacked file format and depends on nothing but
// the standard library (and scrypt, for private keys protected by it).
//
// # Sealing
//
// [NewWriter] takes the public keys of those who may read the file. What is
// written to it comes out encrypted; [Writer.Close] seals the last chunk, and
// only a file that has one opens. When the source fails half-way call
// [Writer.Abort] instead: a file without its last chunk is refused by every
// reader, so a failure can never be mistaken for a short but whole backup.
//
//	w, err := encryptor.NewWriter(file, recipients, encryptor.WriterOptions{})
//	if err != nil {
//		return err
//	}
//	if _, err := io.Copy(w, dump); err != nil {
//		w.Abort(err)
//		return err
//	}
//	return w.Close()
//
// Chunks of 1 MiB are sealed on several cores at once and written in order. The
// memory that this takes is fixed (about 1 MiB a core, see [WriterOptions]) and
// does not depend on how much is sealed.
//
// # Opening
//
// [NewReader] takes a private key. No byte leaves it before its chunk has been
// authenticated, and io.EOF is returned only after the last chunk has: a reader
// that reaches io.EOF has read all that was sealed, unaltered. Every other end
// is an error that [errors.Is] tells apart: [ErrTruncated], [ErrDamaged],
// [ErrWrongKey], [ErrUnsupported], [ErrNotDbacked], or the source's own.
//
// What it does not tell is who sealed the file: anybody who has the public key
// can. Nor does the cipher commit to its key: one who seals a file for two
// recipients could, with effort, show each of them another plaintext.
//
// # Keys
//
// Keys are RSA of at least 2048 bits, in PEM as openssl reads and writes it. All
// recipients of a file have keys of one size. [GenerateKey] makes one of 4096
// bits, [MarshalPrivateKey] protects it by a passphrase, [ParsePrivateKey] and
// [ParsePublicKeys] read keys back, and [Fingerprint] names one.
//
// # Formats
//
// [V1] is what is written by default: the STREAM construction over AES-256-GCM,
// the key wrapped by RSA-OAEP with SHA-256.
//
// [Legacy] is what the first agents wrote: AES-256-CBC, the key wrapped by
// RSA-OAEP with SHA-1, and no authentication at all: damage shows only by luck.
// It is read so that old backups stay readable (by convention its plaintext is
// gzipped: neither direction does that here) and written only for an old agent
// to restore.
//
// # Compatibility
//
// Files sealed by any released version of this package open with all later
// ones. A reader accepts every minor version of the major versions it knows, and
// refuses other majors by name.
package encryptor
