{{/*
The seed Job's spec. Killed at any point, it goes on where it was. Takes (list $ whether-only-an-empty-catalogue-is-seeded).
*/}}
{{- define "farmlokal.seedJob" -}}
{{- $whenEmpty := index . 1 -}}
{{- with index . 0 -}}
backoffLimit: {{ .Values.seed.backoffLimit }}
{{- if not (kindIs "invalid" .Values.seed.ttlSecondsAfterFinished) }}
ttlSecondsAfterFinished: {{ int64 .Values.seed.ttlSecondsAfterFinished }}
{{- end }}
{{ include "farmlokal.podFailurePolicy" . }}
template:
  metadata:
    {{- include "farmlokal.podMetadata" (list . "seed") | nindent 4 }}
  spec:
    serviceAccountName: {{ include "farmlokal.serviceAccountName" (list . "api") }}
    automountServiceAccountToken: false
    restartPolicy: Never
    {{- include "farmlokal.pod" (list . "seed") | nindent 4 }}
    containers:
      - name: seed
        {{- include "farmlokal.container" (list . "seed") | nindent 8 }}
        {{- with .Values.seed.envFrom }}
        envFrom:
          {{- toYaml . | nindent 10 }}
        {{- end }}
        env:
          {{- include "farmlokal.merged" (list "name" (include "farmlokal.seedEnv" (list . $whenEmpty)) .Values.seed.extraEnv) | nindent 10 }}
        ports:
          - name: management
            containerPort: 9090
        resources:
          {{- toYaml .Values.seed.resources | nindent 10 }}
        {{- with include "farmlokal.merged" (list "mountPath" (include "farmlokal.tlsMounts" (list . "database" "redis")) .Values.seed.extraVolumeMounts) }}
        volumeMounts:
          {{- . | nindent 10 }}
        {{- end }}
    {{- with include "farmlokal.merged" (list "name" (include "farmlokal.tlsVolumes" (list . "database" "redis")) .Values.seed.extraVolumes) }}
    volumes:
      {{- . | nindent 6 }}
    {{- end }}
{{- end -}}
{{- end -}}
