{{/* The seed Job's spec, of the CronJob and of the one at install. Killed at any point, it goes on where it was. */}}
{{- define "farmlokal.seedJob" -}}
backoffLimit: {{ .Values.seed.backoffLimit }}
ttlSecondsAfterFinished: {{ int64 .Values.seed.ttlSecondsAfterFinished }}
template:
  metadata:
    {{- include "farmlokal.podLabels" (list . "seed") | nindent 4 }}
    {{- with .Values.pods.annotations }}
    annotations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  spec:
    serviceAccountName: {{ include "farmlokal.fullname" . }}-api
    automountServiceAccountToken: false
    restartPolicy: Never
    {{- include "farmlokal.pod" . | nindent 4 }}
    containers:
      - name: seed
        {{- include "farmlokal.container" (list . "seed") | nindent 8 }}
        {{- with .Values.seed.envFrom }}
        envFrom:
          {{- toYaml . | nindent 10 }}
        {{- end }}
        env:
          {{- include "farmlokal.merged" (list "name" (include "farmlokal.seedEnv" .) .Values.seed.extraEnv) | nindent 10 }}
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
